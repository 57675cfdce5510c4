//! Where nonces and ephemeral keys come from.

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// A source of random bytes: outside of this crate's own tests always the operating system.
#[derive(Debug)]
pub(crate) enum Entropy {
    System,
    /// Bytes to hand out, from the front, so that a recorded exchange can be replayed.
    #[cfg(test)]
    Scripted(Vec<u8>),
}

impl Entropy {
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> Result<(), NoRandomness> {
        match self {
            Self::System => getrandom::fill(out).map_err(|_| NoRandomness),
            #[cfg(test)]
            Self::Scripted(bytes) if bytes.len() < out.len() => Err(NoRandomness),
            #[cfg(test)]
            Self::Scripted(bytes) => {
                let rest = bytes.split_off(out.len());
                out.copy_from_slice(bytes);
                *bytes = rest;
                Ok(())
            }
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], NoRandomness> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }
}
