//! The options of `#[rpc_endpoint(...)]`, and of `#[rpc(...)]` on its methods.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, Ident, Path, Result, Token, Type, Visibility};

use crate::keys::{self, Errors};

/// Which trait is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Serial,
    Concurrent,
}

/// What stands in `#[rpc_endpoint(...)]`.
#[derive(Default)]
pub(super) struct Options {
    /// `None` to decide by the methods.
    pub(super) delivery: Option<Delivery>,
    pub(super) inbound: Option<(Visibility, Ident)>,
    pub(super) krate: Option<Path>,
}

impl Options {
    pub(super) fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        syn::meta::parser(|meta| options.read_key(&meta)).parse2(tokens)?;
        Ok(options)
    }

    fn read_key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("serial") || meta.path.is_ident("concurrent") {
            let delivery = if meta.path.is_ident("serial") {
                Delivery::Serial
            } else {
                Delivery::Concurrent
            };
            if self.delivery.is_some_and(|before| before != delivery) {
                return Err(meta.error("an endpoint is either `serial` or `concurrent`"));
            }
            keys::once(meta, self.delivery.is_some())?;
            keys::flag(meta)?;
            self.delivery = Some(delivery);
        } else if meta.path.is_ident("inbound") {
            keys::once(meta, self.inbound.is_some())?;
            let value = meta.value()?;
            let visibility = match value.parse()? {
                Visibility::Inherited => Visibility::Public(<Token![pub]>::default()),
                given => given,
            };
            self.inbound = Some((visibility, value.parse()?));
        } else if meta.path.is_ident("crate") {
            keys::once(meta, self.krate.is_some())?;
            self.krate = Some(meta.value()?.call(Path::parse_mod_style)?);
        } else {
            return Err(keys::unknown(
                meta,
                "`serial`, `concurrent`, `inbound = Name` and `crate = path`",
            ));
        }
        Ok(())
    }
}

/// What stands in `#[rpc(...)]` on a method.
#[derive(Default)]
pub(super) struct MethodOptions {
    /// Neither a handler nor a callback.
    pub(super) skip: bool,
    /// Where the mark of a handler for all messages stands.
    pub(super) raw: Option<Span>,
    /// The type of the reply where the signature does not tell it.
    pub(super) reply: Option<Type>,
}

impl MethodOptions {
    /// Takes our attributes out of `attributes`.
    pub(super) fn take(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        attributes.retain(|attribute| {
            let ours = keys::is_rpc(attribute);
            if ours {
                errors.take(attribute.parse_nested_meta(|meta| options.read_key(&meta)));
            }
            !ours
        });
        if options.skip {
            options.refuse_on("a method that is left out", errors);
        } else if let (Some(_), Some(reply)) = (options.raw, &options.reply) {
            errors.add(reply, "the reply to a raw message is in its handle: `Raw::reply`");
        }
        options
    }

    fn read_key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("skip") {
            keys::once(meta, self.skip)?;
            keys::flag(meta)?;
            self.skip = true;
        } else if meta.path.is_ident("raw") {
            keys::once(meta, self.raw.is_some())?;
            keys::flag(meta)?;
            self.raw = meta.path.get_ident().map(Ident::span);
        } else if meta.path.is_ident("reply") {
            keys::once(meta, self.reply.is_some())?;
            self.reply = Some(meta.value()?.parse()?);
        } else {
            return Err(keys::unknown(meta, "`skip`, `reply = Type` and `raw`"));
        }
        Ok(())
    }

    /// Reports what has no meaning on a method that is no handler.
    pub(super) fn refuse_on(&self, what: &str, errors: &mut Errors) {
        if let Some(place) = self.raw {
            errors.add_at(place, format!("`raw` has no meaning on {what}"));
        }
        if let Some(reply) = &self.reply {
            errors.add(
                reply.to_token_stream(),
                format!("`reply` has no meaning on {what}"),
            );
        }
    }
}
