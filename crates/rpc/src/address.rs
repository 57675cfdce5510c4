//! Where an env and an endpoint are, and how that is written.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use spark_rpc_net::SocketName;

/// The address of an env: host and port (Spark's `RpcAddress`).
///
/// Hosts are compared as text: nothing is resolved, so `localhost` is not `127.0.0.1`. An IPv6 address is kept in its
/// canonical form, in brackets.
///
/// # Examples
///
/// ```
/// use spark_rpc::RpcAddress;
///
/// let address = RpcAddress::new("::0:1", 1234);
/// assert_eq!(address.host(), "[::1]");
/// assert_eq!(address.to_spark_url(), "spark://[::1]:1234");
/// assert_eq!(RpcAddress::from_spark_url("spark://[::1]:1234")?, address);
/// # Ok::<(), spark_rpc::InvalidAddress>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Told")]
pub struct RpcAddress {
    host: String,
    port: u16,
}

/// An address as somebody else has written it.
#[derive(Deserialize)]
struct Told {
    host: String,
    port: u16,
}

impl TryFrom<Told> for RpcAddress {
    type Error = &'static str;

    fn try_from(Told { host, port }: Told) -> Result<Self, Self::Error> {
        Self::told(host, port).ok_or("no host has a name as long as this")
    }
}

impl RpcAddress {
    /// Makes an address; an IPv6 host is brought into its canonical form, in brackets.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: canonical_host(host.into()),
            port,
        }
    }

    /// An address that a peer has told. Envs remember those, so a name that no host can have is none.
    pub(crate) fn told(host: impl Into<String>, port: u16) -> Option<Self> {
        let host = host.into();
        (host.len() <= LONGEST_HOST).then(|| Self::new(host, port))
    }

    /// The host, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The text `spark://host:port`.
    #[must_use]
    pub fn to_spark_url(&self) -> String {
        format!("{SCHEME}{self}")
    }

    /// Parses exactly `spark://host:port`.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`], also for a path, query, fragment or user info.
    pub fn from_spark_url(url: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress::MasterUrl { url: url.to_owned() };
        let rest = url.strip_prefix(SCHEME).ok_or_else(invalid)?;
        parse_host_port(rest).ok_or_else(invalid)
    }
}

impl fmt::Display for RpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for RpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses `host:port` or `spark://host:port`.
impl FromStr for RpcAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse_host_port(text.strip_prefix(SCHEME).unwrap_or(text)).ok_or_else(|| InvalidAddress::HostPort {
            text: text.to_owned(),
        })
    }
}

impl From<&SocketName> for RpcAddress {
    fn from(name: &SocketName) -> Self {
        Self::new(name.host.as_str(), name.port)
    }
}

/// The address of an endpoint: its name, and the address of its env if that has one (Spark's `RpcEndpointAddress`).
///
/// Its text is `spark://name@host:port`, or `spark-client://name` for an endpoint of a client-mode env, which can be
/// reached only over connections that this env has opened.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RpcEndpointAddress {
    name: String,
    address: Option<RpcAddress>,
}

impl RpcEndpointAddress {
    /// Makes an address.
    #[must_use]
    pub fn new(name: impl Into<String>, address: Option<RpcAddress>) -> Self {
        Self {
            name: name.into(),
            address,
        }
    }

    /// The endpoint's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of its env; `None` in client mode.
    #[must_use]
    pub fn address(&self) -> Option<&RpcAddress> {
        self.address.as_ref()
    }
}

impl fmt::Display for RpcEndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) => write!(f, "{SCHEME}{}@{address}", self.name),
            None => write!(f, "spark-client://{}", self.name),
        }
    }
}

impl fmt::Debug for RpcEndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses `spark://name@host:port`.
impl FromStr for RpcEndpointAddress {
    type Err = InvalidAddress;

    fn from_str(url: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress::SparkUrl { url: url.to_owned() };
        let rest = url.strip_prefix(SCHEME).ok_or_else(invalid)?;
        let (name, host_port) = rest.rsplit_once('@').ok_or_else(invalid)?;
        if name.is_empty() || !name.chars().all(is_url_name_char) {
            return Err(invalid());
        }
        let address = parse_host_port(host_port).ok_or_else(invalid)?;
        Ok(Self::new(name, Some(address)))
    }
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// Not `spark://host:port`.
    #[error("Invalid master URL: {url}")]
    MasterUrl {
        /// The text.
        url: String,
    },
    /// Not `spark://name@host:port`.
    #[error("Invalid Spark URL: {url} (expected spark://NAME@HOST:PORT)")]
    SparkUrl {
        /// The text.
        url: String,
    },
    /// Not `host:port`.
    #[error("Invalid address: {text} (expected HOST:PORT)")]
    HostPort {
        /// The text.
        text: String,
    },
}

fn parse_host_port(text: &str) -> Option<RpcAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sound = match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(is_host_char),
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (sound && digits)
        .then(|| port.parse().ok())
        .flatten()
        .map(|port| RpcAddress::new(host, port))
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// The characters that may stand in the user info of a URI (RFC 3986 §3.2.1), but for the colon.
fn is_url_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(c)
}

fn canonical_host(host: String) -> String {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(&host);
    match inner.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host,
    }
}

const SCHEME: &str = "spark://";
/// More than a name in DNS may have, or an IPv6 address with its zone.
const LONGEST_HOST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_a_peer_tells_is_brought_into_form_and_no_longer_than_a_name_can_be() {
        let read = |host: &str| {
            let bytes = postcard::to_allocvec(&(host, 7077_u16)).unwrap();
            postcard::from_bytes::<RpcAddress>(&bytes)
        };
        assert_eq!(read("::0:1"), Ok(RpcAddress::new("::1", 7077)));
        assert_eq!(read("worker-1").unwrap().host(), "worker-1");
        assert!(read(&"x".repeat(255)).is_ok());
        assert!(read(&"x".repeat(256)).is_err());
    }

    /// ADDR-01
    #[test]
    fn an_endpoint_address_prints_as_a_url_and_a_client_mode_one_without_host() {
        let address = RpcEndpointAddress::new("test", Some(RpcAddress::new("localhost", 12345)));
        assert_eq!(address.to_string(), "spark://test@localhost:12345");
        assert_eq!("spark://test@localhost:12345".parse(), Ok(address));
        assert_eq!(
            RpcEndpointAddress::new("test", None).to_string(),
            "spark-client://test"
        );
    }

    /// ADDR-02
    #[test]
    fn an_address_has_host_port_and_url() {
        let address = RpcAddress::new("1.2.3.4", 1234);
        assert_eq!((address.host(), address.port()), ("1.2.3.4", 1234));
        assert_eq!(address.to_string(), "1.2.3.4:1234");
        assert_eq!(address.to_spark_url(), "spark://1.2.3.4:1234");
        assert_eq!(RpcAddress::from_spark_url("spark://1.2.3.4:1234"), Ok(address));
    }

    /// ADDR-03
    #[test]
    fn a_url_that_is_not_a_master_url_is_refused_and_named() {
        for url in [
            "spark://1.2. 3.4:1234",
            "invalid://1.2.3.4:1234",
            "spark://a@1.2.3.4:1234",
            "spark://1.2.3.4:1234/x",
            "spark://1.2.3.4",
            "spark://1.2.3.4:+1",
            "spark://:1",
        ] {
            let error = RpcAddress::from_spark_url(url).unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid master URL: {url}"));
        }
    }

    /// ADDR-04
    #[test]
    fn ipv6_hosts_stand_in_brackets() {
        let address = RpcAddress::new("::1", 1234);
        assert_eq!(address.host(), "[::1]");
        assert_eq!(address.to_string(), "[::1]:1234");
        assert_eq!(address.to_spark_url(), "spark://[::1]:1234");
        assert_eq!(
            RpcAddress::from_spark_url("spark://[::1]:1234").unwrap().host(),
            "[::1]"
        );
    }

    /// ADDR-05
    #[test]
    fn ipv6_hosts_are_brought_into_canonical_form() {
        assert_eq!(RpcAddress::new("::0:1", 1).host(), "[::1]");
        assert_eq!(RpcAddress::new("2600::", 1).host(), "[2600::]");
        assert_eq!(RpcAddress::new("[2600:0::]", 1).host(), "[2600::]");
    }

    #[test]
    fn an_endpoint_url_needs_a_name_a_host_and_a_port_and_nothing_else() {
        for url in [
            "spark://h:1",
            "spark://@h:1",
            "spark://n@h",
            "spark://n@h:1/p",
            "spark-client://n",
            "n@h:1",
            "spark://a b@h:1",
        ] {
            assert!(url.parse::<RpcEndpointAddress>().is_err(), "{url}");
        }
    }
}
