//! Reading `#[rpc(...)]`: the rules that all of them share.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Path, Result, Token};

/// The attributes that are ours.
pub(crate) fn rpc_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| is_rpc(attribute))
}

pub(crate) fn is_rpc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("rpc")
}

/// Refuses a key that has been read before.
pub(crate) fn once(meta: &ParseNestedMeta<'_>, read_before: bool) -> Result<()> {
    if read_before {
        let key = key(meta);
        return Err(meta.error(format!("`{key}` is given twice")));
    }
    Ok(())
}

/// Refuses a value behind a key that is only there or not.
pub(crate) fn flag(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) || meta.input.peek(syn::token::Paren) {
        let key = key(meta);
        return Err(meta.error(format!("`{key}` takes no value")));
    }
    Ok(())
}

/// The error for a key that does not exist; `known` is the rest of a sentence.
pub(crate) fn unknown(meta: &ParseNestedMeta<'_>, known: &str) -> Error {
    let key = key(meta);
    meta.error(format!("`{key}` is not known here; there are {known}"))
}

fn key(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.to_token_stream().to_string()
}

/// The path by which generated code reaches the rpc crate.
pub(crate) fn crate_path(given: Option<&Path>) -> TokenStream {
    match given {
        Some(path) => path.to_token_stream(),
        None => quote!(::spark_rpc),
    }
}

/// Mistakes found so far: all of them are shown at once.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn add(&mut self, place: impl ToTokens, text: impl std::fmt::Display) {
        self.push(Error::new_spanned(place, text));
    }

    pub(crate) fn add_at(&mut self, place: Span, text: impl std::fmt::Display) {
        self.push(Error::new(place, text));
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The value, or `None` with the error noted.
    pub(crate) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
