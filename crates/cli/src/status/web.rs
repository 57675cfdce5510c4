//! What a Master's web server tells beside its RPC: states, and what is in use.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The page `/json/`, as far as it is wanted. All fields exist since Spark 3.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Web {
    pub(super) workers: Vec<WebWorker>,
    pub(super) activeapps: Vec<WebApp>,
    pub(super) completedapps: Vec<WebApp>,
    pub(super) activedrivers: Vec<WebDriver>,
    pub(super) completeddrivers: Vec<WebDriver>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WebWorker {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) coresused: i64,
    pub(super) memoryused: i64,
    pub(super) lastheartbeat: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct WebApp {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) cores: i64,
    pub(super) duration: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct WebDriver {
    pub(super) id: String,
    pub(super) state: String,
}

/// Fetches the page; nothing if that server is not there in time, speaks TLS, or wants a login.
pub(super) async fn fetch(host: &str, port: i32, patience: Duration) -> Option<Web> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    let page = tokio::time::timeout(patience, get(host, port)).await.ok()?.ok()?;
    parse(&page)
}

async fn get(host: &str, port: u16) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    // The old version of HTTP has no chunks, and the answer ends with the connection.
    let request = format!("GET /json/ HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    stream.take(LARGEST).read_to_end(&mut page).await?;
    Ok(page)
}

fn parse(page: &[u8]) -> Option<Web> {
    let end = page.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&page[..end]).ok()?;
    let status = head.lines().next()?.split(' ').nth(1)?;
    if status != "200" {
        return None;
    }
    serde_json::from_slice(&page[end + 4..]).ok()
}

/// Thousands of workers and applications take less.
const LARGEST: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_whatever_else_a_server_says_is_not() {
        let page = b"HTTP/1.1 200 OK\r\nServer: Jetty\r\n\r\n{\"url\": \"spark://h:1\", \"workers\": [{\"id\": \"w\", \
            \"state\": \"ALIVE\", \"coresused\": 1, \"memoryused\": 2, \"lastheartbeat\": 3, \"new\": {}}]}";
        let web = parse(page).unwrap();
        assert_eq!((&*web.workers[0].state, web.workers[0].coresused), ("ALIVE", 1));
        for other in [
            &b""[..],
            b"HTTP/1.1 302 Found\r\nLocation: https://h/\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n<html>",
            b"HTTP/1.1 200 OK",
            b"SSH-2.0-x\r\n\r\n",
        ] {
            assert!(parse(other).is_none(), "{other:?}");
        }
    }
}
