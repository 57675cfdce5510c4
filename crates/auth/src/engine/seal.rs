//! Sealing a public key under the shared secret.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit, Nonce, Tag};
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
        .encrypt_inout_detached(&Nonce::from(nonce), &associated, body.as_mut_slice().into())
        .expect("a key is far below the longest text of AES-GCM");
    let mut sealed = [0; AuthMessage::SEALED_LEN];
    sealed[..12].copy_from_slice(&nonce);
    sealed[12..44].copy_from_slice(&body);
    sealed[44..].copy_from_slice(&tag);
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
    let tag: [u8; 16] = tag.try_into().ok()?;
    cipher(secret, &message.salt, &associated)
        .decrypt_inout_detached(
            &Nonce::from(*nonce),
            &associated,
            public.as_mut_slice().into(),
            &Tag::from(tag),
        )
        .ok()?;
    Some(public)
}

/// Spark uses the same bytes as HKDF info and as associated data.
fn associated_data(app_id: &str, salt: &[u8], transcript: &[u8]) -> Vec<u8> {
    [app_id.as_bytes(), salt, transcript].concat()
}

fn cipher(secret: &Secret, salt: &[u8], info: &[u8]) -> Aes128Gcm {
    let mut key = Zeroizing::new([0; 16]);
    Hkdf::<Sha256>::new(Some(salt), secret.expose())
        .expand(info, &mut *key)
        .expect("16 bytes are less than HKDF can give");
    Aes128Gcm::new((&*key).into())
}
