//! A program that makes the system calls that a test names, of either table, and nothing else: no
//! shell has a command for each, and a C library makes others beside them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sensor_common::syscall::Syscall;

/// Where the program is loaded: below 4 GiB, so that calls of both tables can point into it.
const BASE: u32 = 0x40_0000;
const HEADERS: usize = 64 + 56;
/// Where the first call's data lies in the file; its code ends before.
const DATA: usize = 0x800;

/// The program, as it grows.
pub(crate) struct Actor {
    code: Vec<u8>,
    data: Vec<u8>,
}

impl Actor {
    pub(crate) const fn new() -> Self {
        Self { code: Vec::new(), data: Vec::new() }
    }

    /// Adds bytes for calls to point at; their address.
    pub(crate) fn data(&mut self, words: &[u32]) -> u32 {
        let address = BASE + u32::try_from(DATA + self.data.len()).unwrap();
        self.data.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        address
    }

    /// Makes a call of the native table.
    pub(crate) fn call<const N: usize>(&mut self, syscall: Syscall, arguments: [u32; N]) {
        self.call_native(syscall.native.unwrap(), &arguments);
    }

    /// Makes the call of this number in the native table.
    pub(crate) fn call_native(&mut self, number: u32, arguments: &[u32]) {
        // edi, esi, edx, r10d, r8d, r9d, then `syscall`.
        const REGISTERS: [&[u8]; 6] =
            [&[0xbf], &[0xbe], &[0xba], &[0x41, 0xba], &[0x41, 0xb8], &[0x41, 0xb9]];
        self.instructions(number, &REGISTERS, arguments, [0x0f, 0x05]);
    }

    /// Makes the call of this number in the 32-bit table.
    pub(crate) fn call_32(&mut self, number: u32, arguments: [u32; 3]) {
        // ebx, ecx, edx, then `int 0x80`.
        self.instructions(number, &[&[0xbb], &[0xb9], &[0xba]], &arguments, [0xcd, 0x80]);
    }

    /// Adds a text for calls to point at, with its NUL; its address.
    pub(crate) fn text(&mut self, text: &str) -> u32 {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(text.len() + 4 - text.len() % 4, 0);
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        self.data(&words)
    }

    /// Replaces the program by another, without arguments but its name.
    pub(crate) fn execute(&mut self, program: &str) {
        const EXECVE: Syscall = Syscall { native: Some(59), compat: 11, compat_16: 0 };
        let name = self.text(program);
        let argv = self.data(&[name, 0, 0, 0]);
        self.call(EXECVE, [name, argv, 0]);
    }

    /// Clones with these flags, on a stack of its own where memory is shared; what the new task does
    /// before it ends.
    pub(crate) fn split(&mut self, flags: u32, new: impl FnOnce(&mut Self)) {
        const CLONE: Syscall = Syscall { native: Some(56), compat: 120, compat_16: 0 };
        const CLONE_VM: u32 = 0x100;
        const EXIT: Syscall = Syscall { native: Some(60), compat: 1, compat_16: 0 };
        // Calls need no stack: any address will do.
        let stack = if flags & CLONE_VM == 0 { 0 } else { self.data(&[0; 4]) };
        self.call(CLONE, [flags, stack, 0]);
        // test eax, eax; jnz: over what the new task does.
        self.code.extend([0x85, 0xc0, 0x0f, 0x85]);
        let jump = self.code.len();
        self.code.extend([0; 4]);
        new(self);
        self.call(EXIT, [0; 3]);
        let distance = u32::try_from(self.code.len() - jump - 4).unwrap();
        self.code[jump..jump + 4].copy_from_slice(&distance.to_le_bytes());
    }

    fn instructions(&mut self, number: u32, registers: &[&[u8]], values: &[u32], trap: [u8; 2]) {
        assert!(values.len() <= registers.len(), "too many arguments");
        // eax comes first.
        let loads = [(&[0xb8][..], number)]
            .into_iter()
            .chain(registers.iter().copied().zip(values.iter().copied()));
        for (load, value) in loads {
            self.code.extend(load);
            self.code.extend(value.to_le_bytes());
        }
        self.code.extend(trap);
    }

    /// Writes the program, which ends with status 0.
    pub(crate) fn write(mut self, path: &Path) {
        const EXIT: Syscall = Syscall { native: Some(60), compat: 1, compat_16: 0 };
        self.call(EXIT, [0; 3]);
        assert!(HEADERS + self.code.len() <= DATA, "too many calls");
        let mut file = self.headers();
        file.extend(&self.code);
        file.resize(DATA, 0);
        file.extend(&self.data);
        fs::write(path, file).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// An ELF header and one segment that is the whole file.
    fn headers(&self) -> Vec<u8> {
        let (base, headers) = (u64::from(BASE), HEADERS as u64);
        let size = (DATA + self.data.len()) as u64;
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let mut half = |values: &[u16]| bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        // ET_EXEC, EM_X86_64, version 1.
        half(&[2, 62, 1, 0]);
        let mut long = |values: &[u64]| bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        // Entry, program headers, section headers; no flags.
        long(&[base + headers, 64, 0]);
        bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        // PT_LOAD, readable, writable and executable.
        bytes.extend([1, 0, 0, 0, 7, 0, 0, 0]);
        let mut long = |values: &[u64]| bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        long(&[0, base, base, size, size, 0x1000]);
        bytes
    }
}
