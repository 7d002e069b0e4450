//! The little of HTTP/1.1 that it takes to look at a node as Prometheus does, or to ask it for
//! something by REST.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status and body of the answer to a `GET`; `None` if nobody answers as HTTP does.
pub async fn get(address: &str, path: &str) -> Option<(u16, String)> {
    ask(address, "GET", path, "", "").await
}

/// Status and body of the answer to a request; `None` if nobody answers as HTTP does. Each line of
/// `headers` has its end.
pub async fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The sum of all series of a metric in the text of a scrape that have these labels.
pub fn sum_of(text: &str, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let series = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, rest) = series.split_once('{')?;
        let has = |(name, value): &(&str, &str)| rest.contains(&format!("{name}=\"{value}\""));
        (name == metric && labels.iter().all(has)).then(|| value.parse::<f64>().ok())?
    });
    series.sum()
}
