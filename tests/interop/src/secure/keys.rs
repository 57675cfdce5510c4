//! Keys and certificates in the forms that Spark takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Settings;
use crate::text;

/// Made anew for each run.
#[derive(Clone)]
pub(super) struct Keys {
    folder: PathBuf,
}

const PASSWORD: &str = "open-sesame";
static MADE: OnceLock<Result<Keys, String>> = OnceLock::new();

impl Keys {
    /// The keys of this run, made when they are first asked for.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, String> {
        MADE.get_or_init(|| Self::make(folder)).clone()
    }

    /// A key store in both of the JDK's forms with one key, two pairs of PEM files with keys of their own, and trust
    /// stores that trust all but the second of the pairs.
    fn make(folder: &Path) -> Result<Self, String> {
        let keys = Self {
            folder: folder.to_owned(),
        };
        for name in ["key.p12", "trust.p12", "key.jks", "trust.jks", "exported.pem"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
        for name in ["", "other-"] {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(text)?;
            let write = |file: &str, text: String| std::fs::write(folder.join(format!("{name}{file}")), text);
            write("chain.pem", made.cert.pem()).map_err(text)?;
            write("key.pem", made.signing_key.serialize_pem()).map_err(text)?;
        }
        let new = [
            "-genkeypair",
            "-alias",
            "rpc",
            "-keyalg",
            "EC",
            "-dname",
            "CN=interop",
        ];
        keys.keytool(&new, "PKCS12", "key.p12")?;
        keys.keytool(
            &["-exportcert", "-rfc", "-alias", "rpc", "-file", "exported.pem"],
            "PKCS12",
            "key.p12",
        )?;
        let copy = [
            "-importkeystore",
            "-srckeystore",
            "key.p12",
            "-srcstorepass",
            PASSWORD,
        ];
        let mut copied = Command::new("keytool");
        copied.args(copy).args([
            "-destkeystore",
            "key.jks",
            "-deststoretype",
            "JKS",
            "-deststorepass",
            PASSWORD,
        ]);
        done(copied.current_dir(folder).output())?;
        for (form, trust) in [("PKCS12", "trust.p12"), ("JKS", "trust.jks")] {
            for (alias, file) in [("rpc", "exported.pem"), ("pem", "chain.pem")] {
                keys.keytool(
                    &["-importcert", "-noprompt", "-alias", alias, "-file", file],
                    form,
                    trust,
                )?;
            }
        }
        Ok(keys)
    }

    fn keytool(&self, what: &[&str], form: &str, store: &str) -> Result<(), String> {
        let mut keytool = Command::new("keytool");
        keytool
            .args(what)
            .args(["-storetype", form, "-keystore", store, "-storepass", PASSWORD]);
        done(keytool.current_dir(&self.folder).output())
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// PEM files, and the certificate in them as the only one that is trusted.
    pub(super) fn pem(&self) -> Settings {
        self.pem_of("")
    }

    /// PEM files that nobody else trusts, and who trusts nobody else.
    pub(super) fn others(&self) -> Settings {
        self.pem_of("other-")
    }

    fn pem_of(&self, name: &str) -> Settings {
        vec![
            ("spark.ssl.rpc.enabled", "true".to_owned()),
            // Without it Spark looks at key stores only.
            ("spark.ssl.rpc.openSslEnabled", "true".to_owned()),
            ("spark.ssl.rpc.privateKey", self.path(&format!("{name}key.pem"))),
            ("spark.ssl.rpc.certChain", self.path(&format!("{name}chain.pem"))),
        ]
    }

    /// PEM files, and a trust store with everybody's certificates.
    pub(super) fn pem_and_trust(&self) -> Settings {
        let mut settings = self.pem();
        settings.extend(
            self.stores()
                .into_iter()
                .filter(|(key, _)| key.contains("trustStore")),
        );
        settings
    }

    /// Key store and trust store of the JDK's default form.
    pub(super) fn stores(&self) -> Settings {
        self.stores_in("p12")
    }

    /// The same in the JDK's old form, which is not read here.
    pub(super) fn old_stores(&self) -> Settings {
        self.stores_in("jks")
    }

    fn stores_in(&self, form: &str) -> Settings {
        vec![
            ("spark.ssl.rpc.enabled", "true".to_owned()),
            ("spark.ssl.rpc.keyStore", self.path(&format!("key.{form}"))),
            ("spark.ssl.rpc.keyStorePassword", PASSWORD.to_owned()),
            ("spark.ssl.rpc.trustStore", self.path(&format!("trust.{form}"))),
            ("spark.ssl.rpc.trustStorePassword", PASSWORD.to_owned()),
        ]
    }
}

fn done(ran: std::io::Result<std::process::Output>) -> Result<(), String> {
    let done = ran.map_err(|error| format!("cannot run keytool: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("keytool: {}", String::from_utf8_lossy(&done.stdout))),
    }
}
