//! Sealing a public key under the shared secret.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::AuthMessage;
use crate::Secret;
use crate::entropy::{Entropy, NoRandomness};

/// The length of a public key.
pub(super) const PUBLIC_LEN: usize = 32;

/// Seals `public` for whoever knows `secret` and has seen `transcript`.
pub(super) fn seal(
    public: &[u8; PUBLIC_LEN],
    app_id: &str,
    secret: &Secret,
    transcript: &[u8],
    entropy: &mut Entropy,
) -> Result<AuthMessage, NoRandomness> {
    let salt = entropy.array()?;
    let nonce: [u8; 12] = entropy.array()?;
    let associated = associated_data(app_id, &salt, transcript);
    let mut body = *public;
    let tag = cipher(secret, &salt, &associated)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&associated),
            &mut body,
        )
        .expect("a key is far below the longest text of AES-GCM");
    let mut sealed = [0; AuthMessage::SEALED_LEN];
    sealed[..12].copy_from_slice(&nonce);
    sealed[12..44].copy_from_slice(&body);
    sealed[44..].copy_from_slice(tag.as_ref());
    Ok(AuthMessage {
        app_id: app_id.to_owned(),
        salt,
        sealed,
    })
}

/// Opens what [`seal`] made with the same `secret` and `transcript`; `None` if it is anything else.
pub(super) fn open(message: &AuthMessage, secret: &Secret, transcript: &[u8]) -> Option<[u8; PUBLIC_LEN]> {
    let associated = associated_data(&message.app_id, &message.salt, transcript);
    let (nonce, rest) = message.sealed.split_first_chunk::<12>()?;
    let (body, tag) = rest.split_first_chunk::<PUBLIC_LEN>()?;
    let mut public = *body;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    cipher(secret, &message.salt, &associated)
        .open_in_place_separate_tag(nonce, Aad::from(&associated), tag, &mut public)
        .ok()?;
    Some(public)
}

/// Spark uses the same bytes as HKDF info and as associated data.
fn associated_data(app_id: &str, salt: &[u8], transcript: &[u8]) -> Vec<u8> {
    [app_id.as_bytes(), salt, transcript].concat()
}

fn cipher(secret: &Secret, salt: &[u8], info: &[u8]) -> LessSafeKey {
    let mut key = Zeroizing::new([0; 16]);
    Hkdf::<Sha256>::new(Some(salt), secret.expose())
        .expand(info, &mut *key)
        .expect("16 bytes are less than HKDF can give");
    let key = UnboundKey::new(&AES_128_GCM, &*key).expect("the key has 16 bytes");
    LessSafeKey::new(key)
}
