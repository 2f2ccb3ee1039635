//! What the agent says of itself at `/metrics`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result};

/// All samples, as text.
pub(crate) fn fetch(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connect to the agent's metrics")?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").context("ask for the metrics")?;
    let mut text = String::new();
    stream.read_to_string(&mut text).context("read the metrics")?;
    Ok(text)
}

/// The sum of a metric's samples that have one of these labels, or of all where none are given.
pub(crate) fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let is_asked = |line: &&str| {
        let Some(rest) = line.strip_prefix(name) else { return false };
        rest.starts_with(['{', ' '])
            && (labels.is_empty() || labels.iter().any(|label| rest.contains(label)))
    };
    let values = text.lines().filter(is_asked).filter_map(|line| line.rsplit(' ').next());
    // The sum of none is -0.
    0.0 + values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn samples_are_added_by_name_and_label() {
        let text = "# TYPE a counter\na_total{kind=\"open\"} 3\na_total{kind=\"exec\"} 4\na_total_more 9\nb 1\n";
        let sums = [
            sum(text, "a_total", &[]),
            sum(text, "a_total", &["kind=\"open\""]),
            sum(text, "b", &[]),
            sum(text, "c", &[]),
        ];
        assert_eq!(sums.map(|sum| sum.to_string()), ["7", "3", "1", "0"]);
    }
}
