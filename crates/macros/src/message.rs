//! `#[derive(RpcMessage)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, GenericParam, LitStr, Path, Result, Type, parse_quote};

use crate::keys::{self, Errors};

/// Writes the impls for a message.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let options = Options::read(&input)?;
    let krate = keys::crate_path(options.krate.as_ref());
    let ident = &input.ident;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => LitStr::new(&ident.unraw().to_string(), ident.span()),
    };

    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        // `ReplyValue` stands for the supertraits of `RpcMessage`, and every type that has them has it.
        let (_, arguments, _) = input.generics.split_for_impl();
        let predicate = parse_quote!(#ident #arguments: #krate::ReplyValue);
        generics.make_where_clause().predicates.push(predicate);
    }
    let mut request_generics = generics.clone();
    if let (Some(reply), Some(clause)) = (&options.reply, &mut request_generics.where_clause)
        && !clause.predicates.is_empty()
    {
        clause.predicates.push(parse_quote!(#reply: #krate::ReplyValue));
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let (_, _, request_bounds) = request_generics.split_for_impl();

    let (java, java_reply) = match &options.java {
        Some(at) => {
            // The compiler points at the key if the type is no Java object.
            let form = quote_spanned!(at.span()=> #krate::codec::JavaForm::OF);
            let java = quote! {
                const JAVA: ::core::option::Option<&'static #krate::codec::JavaForm<Self>> =
                    ::core::option::Option::Some(&#form);
            };
            let reply = quote! {
                const JAVA_REPLY: ::core::option::Option<&'static #krate::codec::JavaForm<Self::Reply>> =
                    ::core::option::Option::Some(&#form);
            };
            (Some(java), Some(reply))
        }
        None => (None, None),
    };
    let control = options.control.then(|| {
        quote!(
            const CONTROL: bool = true;
        )
    });
    let kind = match &options.reply {
        Some(reply) => quote! {
            #[automatically_derived]
            impl #parameters #krate::Request for #ident #arguments #request_bounds {
                type Reply = #reply;
                #java_reply
            }
        },
        None => quote! {
            #[automatically_derived]
            impl #parameters #krate::OneWay for #ident #arguments #bounds {}
        },
    };
    Ok(quote! {
        #[automatically_derived]
        impl #parameters #krate::RpcMessage for #ident #arguments #bounds {
            const NAME: &'static str = #name;
            #control
            #java
        }
        #kind
    })
}

/// What stands in `#[rpc(...)]` on a message.
#[derive(Default)]
struct Options {
    reply: Option<Type>,
    name: Option<LitStr>,
    control: bool,
    java: Option<Path>,
    krate: Option<Path>,
}

impl Options {
    fn read(input: &DeriveInput) -> Result<Self> {
        let mut errors = Errors::default();
        if let Data::Union(data) = &input.data {
            errors.add(data.union_token, "a message is a struct or an enum");
        }
        for parameter in &input.generics.params {
            if let GenericParam::Lifetime(parameter) = parameter {
                errors.add(
                    parameter,
                    "a message owns what is in it, because it outlives its sender: it cannot have a lifetime",
                );
            }
        }
        let mut options = Self::default();
        for attribute in keys::rpc_attributes(&input.attrs) {
            errors.take(attribute.parse_nested_meta(|meta| options.read_key(&meta)));
        }
        errors.finish()?;
        Ok(options)
    }

    fn read_key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("reply") {
            keys::once(meta, self.reply.is_some())?;
            self.reply = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("name") {
            keys::once(meta, self.name.is_some())?;
            self.name = Some(check_name(meta.value()?.parse()?)?);
        } else if meta.path.is_ident("control") {
            keys::once(meta, self.control)?;
            keys::flag(meta)?;
            self.control = true;
        } else if meta.path.is_ident("java") {
            keys::once(meta, self.java.is_some())?;
            keys::flag(meta)?;
            self.java = Some(meta.path.clone());
        } else if meta.path.is_ident("crate") {
            keys::once(meta, self.krate.is_some())?;
            self.krate = Some(meta.value()?.call(Path::parse_mod_style)?);
        } else {
            return Err(keys::unknown(
                meta,
                "`reply = Type`, `name = \"...\"`, `control`, `java` and `crate = path`",
            ));
        }
        Ok(())
    }
}

/// Refuses the names that mean something else on the wire.
fn check_name(name: LitStr) -> Result<LitStr> {
    match name.value().as_str() {
        "" => Err(Error::new(
            name.span(),
            "a message's name is not empty: that is how replies are marked",
        )),
        "!" => Err(Error::new(
            name.span(),
            "`!` cannot be a message's name: that is how failures are marked",
        )),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn expanded(input: TokenStream) -> String {
        let file: syn::File = syn::parse2(expand(input).unwrap()).unwrap();
        file.to_token_stream().to_string()
    }

    fn errors(input: TokenStream) -> Vec<String> {
        expand(input)
            .unwrap_err()
            .into_iter()
            .map(|error| error.to_string())
            .collect()
    }

    #[test]
    fn without_a_reply_a_message_is_one_way() {
        let text = expanded(quote!(
            struct SayBye {
                name: String,
            }
        ));
        assert!(text.contains("OneWay for SayBye"), "{text}");
        assert!(!text.contains("Request"), "{text}");
        assert!(text.contains(r#"NAME : & 'static str = "SayBye""#), "{text}");
        assert!(!text.contains("CONTROL"), "{text}");
    }

    #[test]
    fn all_keys_may_stand_in_one_attribute_or_in_several() {
        let one = expanded(quote! {
            #[rpc(reply = Vec<u8>, name = "ping", control, crate = facade::rpc)]
            struct Ping;
        });
        let several = expanded(quote! {
            #[rpc(reply = Vec<u8>)]
            #[rpc(name = "ping")]
            #[rpc(control)]
            #[rpc(crate = facade::rpc)]
            struct Ping;
        });
        assert_eq!(one, several);
        assert!(one.contains("facade :: rpc :: Request for Ping"), "{one}");
        assert!(one.contains("type Reply = Vec < u8 >"), "{one}");
        assert!(one.contains(r#"= "ping""#), "{one}");
        assert!(one.contains("CONTROL : bool = true"), "{one}");
    }

    #[test]
    fn a_raw_identifier_is_named_without_its_prefix() {
        assert!(
            expanded(quote!(
                struct r#Type;
            ))
            .contains(r#"= "Type""#)
        );
    }

    #[test]
    fn bounds_of_generic_messages_are_kept() {
        let text = expanded(quote! {
            struct Put<T: Clone, const N: usize> where T: Copy { values: [T; N] }
        });
        let head = "impl < T : Clone , const N : usize > :: spark_rpc :: OneWay for Put < T , N >";
        assert!(text.contains(head), "{text}");
        assert!(
            text.contains("where T : Copy , Put < T , N > : :: spark_rpc :: ReplyValue"),
            "{text}"
        );
    }

    #[test]
    fn every_wrong_key_is_reported() {
        let found = errors(quote! {
            #[rpc(replay = String)]
            #[rpc(control, control)]
            #[rpc(control = true)]
            #[rpc(name = "")]
            #[rpc(name = "!")]
            struct Ping;
        });
        assert_eq!(
            found,
            [
                "`replay` is not known here; \
                 there are `reply = Type`, `name = \"...\"`, `control`, `java` and `crate = path`",
                "`control` is given twice",
                "`control` is given twice",
                "a message's name is not empty: that is how replies are marked",
                "`!` cannot be a message's name: that is how failures are marked",
            ]
        );
    }

    #[test]
    fn a_message_has_no_lifetime_and_is_no_union() {
        let found = errors(quote!(
            union Both<'a> {
                a: &'a u8,
            }
        ));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
