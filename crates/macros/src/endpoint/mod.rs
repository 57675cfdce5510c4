//! `#[rpc_endpoint]`: from an `impl` block to a [`Block`], and from that to code.

mod callback;
mod expand;
mod generics;
mod handler;
mod options;
mod signature;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, Ident, ImplItem, Item, ItemImpl, Receiver, Result, Token, Type, Visibility, parse_quote,
};

use self::callback::{Callback, CallbackKind};
use self::handler::Handler;
use self::options::{Delivery, MethodOptions, Options};
use crate::keys::{self, Errors};

/// Adds an endpoint's impl to its `impl` block.
///
/// With an error the block itself stays, so that its users do not report missing methods as well.
pub(crate) fn expand(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut block = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Impl(block)) => block,
        Ok(other) => {
            let error = Error::new_spanned(&other, "`#[rpc_endpoint]` stands on an `impl` block");
            return with_error(item, &error);
        }
        Err(error) => return with_error(item, &error),
    };
    let written = match Block::read(options, &mut block) {
        Ok(read) => expand::write(&read, &block),
        Err(error) => error.into_compile_error(),
    };
    quote!(#block #written)
}

fn with_error(item: &TokenStream, error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// What is known about an `impl` block with `#[rpc_endpoint]`.
struct Block {
    krate: TokenStream,
    /// Conditions of the whole block.
    conditions: Vec<Attribute>,
    delivery: Delivery,
    inbound: Ident,
    visibility: Visibility,
    /// The endpoint's type without its arguments, for texts.
    type_name: String,
    handlers: Vec<Handler>,
    callbacks: Vec<Callback>,
}

impl Block {
    /// Reads `block` and takes our own attributes out of it.
    fn read(options: TokenStream, block: &mut ItemImpl) -> Result<Self> {
        if let Some((_, path, _)) = &block.trait_ {
            return Err(Error::new_spanned(
                path,
                "`#[rpc_endpoint]` stands on an `impl` block without a trait; it writes the trait's impl itself",
            ));
        }
        let mut errors = Errors::default();
        let options = errors.take(Options::parse(options)).unwrap_or_default();
        let type_name = match type_name(&block.self_ty) {
            Some(name) => name,
            None => {
                errors.add(&block.self_ty, "an endpoint is a struct or an enum");
                format_ident!("Endpoint")
            }
        };
        let mut handlers = Vec::new();
        let mut callbacks = Vec::new();
        for item in &mut block.items {
            let ImplItem::Fn(method) = item else { continue };
            let own = MethodOptions::take(&mut method.attrs, &mut errors);
            if own.skip {
                continue;
            }
            let kind = CallbackKind::named(&method.sig.ident);
            if method.sig.receiver().is_none() {
                signature::check_without_self(method, kind.is_some(), &own, &mut errors);
                continue;
            }
            match kind {
                Some(kind) => callbacks.extend(Callback::read(kind, method, &own, &mut errors)),
                None => handlers.extend(Handler::read(method, &own, &mut errors)),
            }
            // Their signatures are not the user's choice.
            let lints = parse_quote!(#[allow(clippy::needless_pass_by_value, clippy::unused_self)]);
            method.attrs.push(lints);
        }
        handler::check_distinct(&handlers, &mut errors);
        let delivery = options.delivery.unwrap_or_else(|| natural(&handlers, &callbacks));
        if delivery == Delivery::Concurrent {
            for place in exclusive(&handlers, &callbacks) {
                errors.add(
                    place,
                    "messages of a concurrent endpoint overlap, so this has to be `&self`",
                );
            }
        }
        errors.finish()?;
        if handlers.is_empty() && callbacks.is_empty() {
            return Err(Error::new_spanned(
                &block.self_ty,
                "no handlers: an endpoint needs a method such as `async fn name(&mut self, message: Message)`",
            ));
        }
        let (visibility, inbound) = options.inbound.unwrap_or_else(|| {
            let name = format_ident!("{}Inbound", type_name, span = type_name.span());
            (Visibility::Public(<Token![pub]>::default()), name)
        });
        Ok(Self {
            krate: keys::crate_path(options.krate.as_ref()),
            conditions: signature::conditions(&block.attrs),
            delivery,
            inbound,
            visibility,
            type_name: type_name.to_string(),
            handlers,
            callbacks,
        })
    }
}

/// Concurrent if nothing needs the endpoint for itself; such an endpoint can be set up as a serial one, too.
fn natural(handlers: &[Handler], callbacks: &[Callback]) -> Delivery {
    if handlers.is_empty() || exclusive(handlers, callbacks).next().is_some() {
        Delivery::Serial
    } else {
        Delivery::Concurrent
    }
}

/// The methods' `&mut self`.
fn exclusive<'a>(handlers: &'a [Handler], callbacks: &'a [Callback]) -> impl Iterator<Item = &'a Receiver> {
    let handlers = handlers.iter().map(|handler| &handler.method);
    let callbacks = callbacks.iter().map(|callback| &callback.method);
    handlers
        .chain(callbacks)
        .filter_map(|method| method.exclusive.as_ref())
}

fn type_name(ty: &Type) -> Option<Ident> {
    match ty {
        Type::Path(ty) if ty.qself.is_none() => ty.path.segments.last().map(|segment| segment.ident.clone()),
        Type::Group(group) => type_name(&group.elem),
        Type::Paren(paren) => type_name(&paren.elem),
        _ => None,
    }
}
