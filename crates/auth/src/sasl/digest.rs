//! What DIGEST-MD5 hashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::Protection;
use crate::Secret;
use crate::cipher::PrivacyKeys;
use crate::entropy::{Entropy, NoRandomness};
use crate::secret::hex;

pub(super) const REALM: &str = "default";
/// Spark gives the JDK no protocol name, which the JDK prints as `null`, and the server name `default`.
pub(super) const DIGEST_URI: &str = "null/default";
/// A nonce is used for one exchange, so its count never gets further.
pub(super) const NONCE_COUNT: &str = "00000001";

/// The values that both proofs cover.
pub(super) struct Exchange<'a> {
    pub(super) realm: &'a str,
    pub(super) nonce: &'a str,
    pub(super) cnonce: &'a str,
    pub(super) protection: Protection,
}

/// The hash from which proofs and keys are made.
pub(super) struct SessionHash(Zeroizing<[u8; 16]>);

impl SessionHash {
    pub(super) fn new(user: &str, secret: &Secret, exchange: &Exchange<'_>) -> Self {
        let password = Zeroizing::new(in_lines(secret.expose()));
        let account = md5(&[
            user.as_bytes(),
            b":",
            exchange.realm.as_bytes(),
            b":",
            password.as_bytes(),
        ]);
        Self(md5(&[
            &*account,
            b":",
            exchange.nonce.as_bytes(),
            b":",
            exchange.cnonce.as_bytes(),
        ]))
    }

    /// The client's proof, 32 hexadecimal digits.
    pub(super) fn response(&self, exchange: &Exchange<'_>) -> String {
        self.proof("AUTHENTICATE", exchange)
    }

    /// The server's proof.
    pub(super) fn server_proof(&self, exchange: &Exchange<'_>) -> String {
        self.proof("", exchange)
    }

    fn proof(&self, method: &str, exchange: &Exchange<'_>) -> String {
        let qop = exchange.protection.name();
        let no_body = match exchange.protection {
            Protection::Authentication => "",
            Protection::Encryption => ":00000000000000000000000000000000",
        };
        let second = md5(&[format!("{method}:{DIGEST_URI}{no_body}").as_bytes()]);
        let account = Zeroizing::new(hex(&*self.0));
        let text = Zeroizing::new(format!(
            "{}:{}:{NONCE_COUNT}:{}:{qop}:{}",
            *account,
            exchange.nonce,
            exchange.cnonce,
            hex(&*second)
        ));
        hex(&*md5(&[text.as_bytes()]))
    }

    /// The keys of the blocks that go to the server, and of those that go to the client.
    pub(super) fn privacy_keys(&self) -> [PrivacyKeys; 2] {
        ["client-to-server", "server-to-client"].map(|direction| PrivacyKeys {
            integrity: self.key(&format!(
                "Digest session key to {direction} signing key magic constant"
            )),
            confidentiality: self.key(&format!("Digest H(A1) to {direction} sealing key magic constant")),
        })
    }

    fn key(&self, constant: &str) -> Zeroizing<[u8; 16]> {
        md5(&[&*self.0, constant.as_bytes()])
    }
}

fn md5(parts: &[&[u8]]) -> Zeroizing<[u8; 16]> {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    Zeroizing::new(hash.finalize().into())
}

/// A fresh nonce of either side: 30 random bytes in Base64, as the JDK makes them.
pub(super) fn nonce(entropy: &mut Entropy) -> Result<String, NoRandomness> {
    Ok(STANDARD.encode(entropy.array::<30>()?))
}

/// Base64 with a line feed after each 76 characters, but none at the end: the form in which Spark uses user names and
/// secrets. One of more than 57 bytes thus has a line feed inside.
pub(super) fn in_lines(bytes: &[u8]) -> String {
    let encoded = Zeroizing::new(STANDARD.encode(bytes));
    let mut out = String::with_capacity(encoded.len() + encoded.len() / 76);
    for (at, c) in encoded.char_indices() {
        if at > 0 && at % 76 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_but_not_after() {
        assert_eq!(in_lines(b"sparkSaslUser"), "c3BhcmtTYXNsVXNlcg==");
        let line = "A".repeat(76);
        assert_eq!(in_lines(&[0; 57]), line);
        assert_eq!(in_lines(&[0; 58]), format!("{line}\nAA=="));
        assert_eq!(in_lines(&[0; 114]), format!("{line}\n{line}"));
    }
}
