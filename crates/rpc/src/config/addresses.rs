//! Where a driver's env listens, and under which name others find it.

use super::error::ConfError;
use super::spark_conf::SparkConf;

/// Host names and port of an env; `None` and 0 leave the choice to the env.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvAddresses {
    /// Host to bind. Spark key `spark.driver.bindAddress`, else that of
    /// [`advertised_host`](Self::advertised_host).
    pub bind_host: Option<String>,
    /// Host that others are told. Spark key `spark.driver.host`; Spark's default is the local host name.
    pub advertised_host: Option<String>,
    /// Port to bind, 1024 to 65535, or 0 for a free one. Spark key `spark.driver.port`.
    pub port: u16,
}

impl EnvAddresses {
    /// Reads the addresses of a driver.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] if the port is none that may be bound, or a host is empty.
    pub fn driver_from_spark(spark: &SparkConf) -> Result<Self, ConfError> {
        let host = |key| {
            spark.read(key, "a host name or address", |host| {
                let host = host.trim();
                (!host.is_empty()).then(|| host.to_owned())
            })
        };
        let advertised_host = host("spark.driver.host")?;
        let bind_host = host("spark.driver.bindAddress")?.or_else(|| advertised_host.clone());
        let expected = "a port from 1024 to 65535, or 0 for a free one";
        let port = spark.read("spark.driver.port", expected, |port| {
            let port = port.trim().parse().ok()?;
            (port == 0 || port >= 1024).then_some(port)
        })?;
        Ok(Self {
            bind_host,
            advertised_host,
            port: port.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<EnvAddresses, ConfError> {
        EnvAddresses::driver_from_spark(&SparkConf::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn nothing_set_leaves_everything_open() {
        assert_eq!(read(&[]).unwrap(), EnvAddresses::default());
    }

    #[test]
    fn the_advertised_host_is_bound_unless_another_one_is_named() {
        let both = read(&[("spark.driver.host", "a.example"), ("spark.driver.port", "7078")]).unwrap();
        assert_eq!(both.bind_host.as_deref(), Some("a.example"));
        assert_eq!(
            (both.advertised_host.as_deref(), both.port),
            (Some("a.example"), 7078)
        );

        let apart = read(&[
            ("spark.driver.host", "a.example"),
            ("spark.driver.bindAddress", "0.0.0.0"),
        ])
        .unwrap();
        assert_eq!(apart.bind_host.as_deref(), Some("0.0.0.0"));
        assert_eq!(apart.advertised_host.as_deref(), Some("a.example"));
    }

    #[test]
    fn a_port_that_may_not_be_bound_is_refused() {
        for port in ["1", "1023", "65536", "-1", "http", ""] {
            let error = read(&[("spark.driver.port", port)]).unwrap_err();
            assert!(
                matches!(&error, ConfError::Unreadable { key, .. } if key == "spark.driver.port"),
                "{port}"
            );
        }
        for port in ["0", "1024", "65535"] {
            assert_eq!(
                read(&[("spark.driver.port", port)]).unwrap().port.to_string(),
                port
            );
        }
    }

    #[test]
    fn an_empty_host_is_refused() {
        assert!(read(&[("spark.driver.host", " ")]).is_err());
    }
}
