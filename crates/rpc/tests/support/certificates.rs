//! Certificates in files, as operators have them.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use spark_rpc::config::{RpcConf, SparkConf};

/// A folder of certificates, removed in the end.
pub struct Certificates {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// An authority, and a certificate for each name.
    pub fn new(names: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("spark-rpc-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let made = Self { folder, authority };
        made.write("ca.pem", made.authority.pem());
        for name in names {
            made.issue(name, 2999);
        }
        made
    }

    /// Writes a new key and a certificate for it, valid from 2000 until the end of a year, in place of what was there.
    pub fn issue(&self, name: &str, until: i32) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{name}.pem"), certificate.pem());
        self.write(&format!("{name}.key"), key.serialize_pem());
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Settings of one who shows the certificate of `name`, if any, and trusts the authority.
    pub fn conf(&self, name: Option<&str>, more: &[(&str, &str)]) -> RpcConf {
        let mut spark = SparkConf::from_pairs(more.iter().copied());
        spark.set("spark.ssl.rpc.enabled", "true");
        spark.set("spark.ssl.rpc.trustStore", self.path("ca.pem"));
        if let Some(name) = name {
            spark.set("spark.ssl.rpc.certChain", self.path(&format!("{name}.pem")));
            spark.set("spark.ssl.rpc.privateKey", self.path(&format!("{name}.key")));
        }
        RpcConf::from_spark(&spark).unwrap()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
