//! What handlers and callbacks have in common: receivers, return types, conditions.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, GenericArgument, GenericParam, Ident, ImplItemFn, PatType, PathArguments, PathSegment,
    Receiver, ReturnType, Signature, Type, TypePath,
};

use super::options::MethodOptions;
use crate::keys::Errors;

/// The parts of a method that its call needs.
pub(super) struct Method {
    pub(super) name: Ident,
    /// `#[cfg(...)]`, to be repeated wherever the method is named.
    pub(super) conditions: Vec<Attribute>,
    pub(super) is_async: bool,
    /// The receiver if it is `&mut self`; `None` for `&self`.
    pub(super) exclusive: Option<Receiver>,
    /// Where the return type stands, or the name if there is none.
    pub(super) returns: Span,
}

impl Method {
    /// Reads what does not depend on the parameters; `what` is "a handler" or "`on_start`".
    pub(super) fn read(method: &ImplItemFn, what: &str, errors: &mut Errors) -> Self {
        let signature = &method.sig;
        check_plain(signature, what, errors);
        let mut exclusive = None;
        if let Some(receiver) = signature.receiver() {
            if receiver.reference.is_none() || receiver.colon_token.is_some() {
                errors.add(receiver, format!("{what} takes `&mut self` or `&self`"));
            } else if receiver.mutability.is_some() {
                exclusive = Some(receiver.clone());
            }
        }
        Self {
            name: signature.ident.clone(),
            conditions: conditions(&method.attrs),
            is_async: signature.asyncness.is_some(),
            exclusive,
            returns: match &signature.output {
                ReturnType::Default => signature.ident.span(),
                ReturnType::Type(_, ty) => ty.span(),
            },
        }
    }
}

fn check_plain(signature: &Signature, what: &str, errors: &mut Errors) {
    if let Some(word) = &signature.unsafety {
        errors.add(word, format!("{what} cannot be `unsafe`"));
    }
    if let Some(abi) = &signature.abi {
        errors.add(abi, format!("{what} cannot be `extern`"));
    }
    if let Some(dots) = &signature.variadic {
        errors.add(dots, format!("{what} has a fixed number of parameters"));
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.add(
                parameter,
                format!("{what} cannot be generic; parameters of the whole `impl` block can be used"),
            );
        }
    }
    if let ReturnType::Type(_, ty) = &signature.output
        && let Type::ImplTrait(ty) = &**ty
    {
        errors.add(
            ty,
            format!("{what} is an `async fn`, or a plain one that returns a value instead of a future"),
        );
    }
}

/// Complains about functions that look as if `self` had been forgotten.
pub(super) fn check_without_self(
    method: &ImplItemFn,
    named_as_callback: bool,
    options: &MethodOptions,
    errors: &mut Errors,
) {
    let signature = &method.sig;
    if signature.asyncness.is_some() || named_as_callback {
        errors.add(
            &signature.ident,
            "a handler or callback takes `&mut self` or `&self`; if this is neither, mark it `#[rpc(skip)]`",
        );
    }
    options.refuse_on("a function without `self`", errors);
}

/// The parameters after `self`.
pub(super) fn parameters(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        syn::FnArg::Typed(parameter) => Some(parameter),
        syn::FnArg::Receiver(_) => None,
    })
}

/// What a return type looks like.
pub(super) enum Returns<'a> {
    Nothing,
    /// Something called `Result`, with its first argument unless that is `()`.
    Result(Option<&'a Type>),
    Value(&'a Type),
}

impl<'a> Returns<'a> {
    pub(super) fn read(output: &'a ReturnType) -> Self {
        let ReturnType::Type(_, ty) = output else {
            return Self::Nothing;
        };
        let ty = bare(ty);
        if is_unit(ty) {
            return Self::Nothing;
        }
        if is_named(ty, "Result") {
            Self::Result(first_argument(ty).filter(|ty| !is_unit(ty)))
        } else {
            Self::Value(ty)
        }
    }
}

/// Whether `ty` is a path that ends in `name`.
pub(super) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(bare(ty)).is_some_and(|segment| segment.ident == name)
}

/// Whether two types are written in the same way.
pub(super) fn same_text(one: &Type, other: &Type) -> bool {
    bare(one).to_token_stream().to_string() == bare(other).to_token_stream().to_string()
}

/// A type without the invisible groups that `macro_rules!` puts around it, and without parentheses.
pub(super) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        _ => ty,
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(TypePath { path, .. }) => path.segments.last(),
        _ => None,
    }
}

/// The first type among the arguments of a path's last segment.
pub(super) fn first_argument(ty: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &last_segment(bare(ty))?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

pub(super) fn is_unit(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The `#[cfg(...)]` among `attributes`.
pub(super) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_condition = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    attributes.iter().filter(is_condition).cloned().collect()
}
