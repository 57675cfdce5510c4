//! Which parameters of the `impl` block the inbound enum needs: those that its messages and their
//! replies mention.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{GenericParam, Generics, Token, Type};

/// The parameters of `all` that `types` mention, with those bounds that need no other parameter.
pub(super) fn used<'a>(all: &Generics, types: impl Iterator<Item = &'a Type>) -> Generics {
    let mut mentioned = BTreeSet::new();
    for ty in types {
        collect_names(ty.to_token_stream(), &mut mentioned);
    }
    let (kept, dropped): (Vec<_>, Vec<_>) = all
        .params
        .iter()
        .partition(|parameter| mentioned.contains(&name(parameter)));
    let mut unknown: BTreeSet<String> = dropped.into_iter().map(name).collect();
    unknown.insert("Self".to_owned());
    let is_known = |bound: TokenStream| {
        let mut names = BTreeSet::new();
        collect_names(bound, &mut names);
        names.is_disjoint(&unknown)
    };

    let mut generics = Generics::default();
    for parameter in kept {
        let mut parameter = parameter.clone();
        if let GenericParam::Type(ty) = &mut parameter {
            let bounds = std::mem::take(&mut ty.bounds).into_iter();
            ty.bounds = bounds.filter(|bound| is_known(bound.to_token_stream())).collect();
        }
        generics.params.push(parameter);
    }
    if let Some(clause) = &all.where_clause
        && !generics.params.is_empty()
    {
        let predicates: Punctuated<_, Token![,]> = clause
            .predicates
            .iter()
            .filter(|predicate| is_known(predicate.to_token_stream()))
            .cloned()
            .collect();
        if !predicates.is_empty() {
            generics.make_where_clause().predicates = predicates;
        }
    }
    generics
}

/// Whether `ty` means something only inside its `impl` block.
pub(super) fn mentions_self(ty: &Type) -> bool {
    let mut names = BTreeSet::new();
    collect_names(ty.to_token_stream(), &mut names);
    names.contains("Self")
}

fn name(parameter: &GenericParam) -> String {
    match parameter {
        GenericParam::Type(parameter) => parameter.ident.to_string(),
        GenericParam::Const(parameter) => parameter.ident.to_string(),
        GenericParam::Lifetime(parameter) => parameter.lifetime.ident.to_string(),
    }
}

fn collect_names(tokens: TokenStream, names: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                names.insert(ident.to_string());
            }
            TokenTree::Group(group) => collect_names(group.stream(), names),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::{ItemImpl, parse_quote};

    use super::*;

    fn kept(block: &ItemImpl, messages: &[Type]) -> String {
        let generics = used(&block.generics, messages.iter());
        let clause = &generics.where_clause;
        quote!(#generics #clause).to_string()
    }

    #[test]
    fn parameters_that_no_message_mentions_are_left_out() {
        let block = parse_quote!(
            impl<K, V: Clone, const N: usize> Store<K, V, N>
            where
                K: Ord,
                V: Ord,
            {
            }
        );
        let messages = [parse_quote!(Put<Vec<V>>), parse_quote!(Clear)];
        assert_eq!(kept(&block, &messages), "< V : Clone > where V : Ord");
        assert_eq!(kept(&block, &[parse_quote!(Clear)]), "");
        assert_eq!(kept(&block, &[parse_quote!(Fill<N>)]), "< const N : usize >");
    }

    #[test]
    fn bounds_that_need_a_missing_parameter_are_left_out() {
        let block = parse_quote!(
            impl<K: Into<V> + Ord, V> Store<K, V>
            where
                V: From<K>,
                Self: Sized,
            {
            }
        );
        assert_eq!(kept(&block, &[parse_quote!(Put<K>)]), "< K : Ord >");
    }
}
