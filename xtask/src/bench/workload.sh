# A bit of everything that busy hosts do: compilers, shells, archives, version control, scripts,
# connections on loopback. What is not installed is left out.
set -u
work=$(mktemp -d)
cd "$work" || exit 1
python3 - <<'PY' &
import socketserver, threading
class Handler(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(b"x")
socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
open("port", "w").write(str(server.server_address[1]))
threading.Timer(8, server.shutdown).start()
server.serve_forever()
PY
printf '#include <stdio.h>\n#include <stdlib.h>\n#include <sys/socket.h>\nint main(void){puts("x");return 0;}\n' > a.c
for round in 1 2 3 4 5 6; do
  cp a.c "b$round.c" && cc -O1 -o "b$round" "b$round.c" && "./b$round" > out.txt
  grep -rl define /usr/include/linux > found.txt
  find /usr/share/doc -maxdepth 2 > list.txt
  tar cf t.tar -C /usr/include linux && mkdir "x$round" && tar xf t.tar -C "x$round" && rm -rf "x$round"
  python3 -c "
import json, ssl, http.client, sqlite3, socket
port = int(open('port').read())
for i in range(60):
    with socket.create_connection(('127.0.0.1', port), 1) as s: s.recv(1)
for p in range(40): open(f'f{p}.txt', 'w').write('x'); open(f'f{p}.txt').read()
"
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    cat /etc/passwd /etc/hosts > /dev/null; ls /usr/bin > /dev/null; id > /dev/null; date > /dev/null
  done
  git init -q "g$round" && (cd "g$round" && cp ../a.c . && git add a.c \
    && git -c user.name=a -c user.email=a@b commit -qm x)
done
wait
cd / && rm -rf "$work"
