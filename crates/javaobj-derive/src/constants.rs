//! Enums whose variants are the constants of a Java enum or the values of a Scala `Enumeration`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{DataEnum, DeriveInput, Fields, LitStr};

use crate::attributes::{Attributes, ON_CONSTANTS, ON_JAVA_CONSTANT, ON_SCALA_CONSTANT};
use crate::fields::capitals;

pub(crate) fn of_enum(
    input: &DeriveInput,
    attributes: &Attributes,
    data: &DataEnum,
) -> syn::Result<TokenStream> {
    attributes.only(ON_CONSTANTS)?;
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new(
            input.generics.span(),
            "constants have no parameters",
        ));
    }
    let mut variants = Vec::new();
    let mut names = Vec::new();
    let mut ids = Vec::new();
    let mut next = quote!(0_i32);
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new(variant.fields.span(), "a constant holds nothing"));
        }
        let own = Attributes::of(&variant.attrs)?;
        own.only(if attributes.java_enum.is_some() {
            ON_JAVA_CONSTANT
        } else {
            ON_SCALA_CONSTANT
        })?;
        names.push(match &own.name {
            Some(name) => name.value(),
            None => capitals(&variant.ident.to_string()),
        });
        if let Some(id) = own.id {
            next = quote!(#id);
        }
        ids.push(next.clone());
        next = quote!(#next + 1);
        variants.push(&variant.ident);
    }
    let name = &input.ident;
    let (descriptor, write, read) = if let Some(class) = &attributes.java_enum {
        java(class, &variants, &names)
    } else {
        let class = attributes.scala_enum.as_ref().expect("one of the two is there");
        if !class.value().ends_with('$') {
            return Err(syn::Error::new(
                class.span(),
                "the class of a Scala object ends with `$`",
            ));
        }
        scala(class, &variants, &ids)
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::spark_rpc_javaobj::ToJava for #name {
            fn descriptor(_: ::spark_rpc_javaobj::Scala) -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#descriptor)
            }

            fn to_java(
                &self,
                out: &mut ::spark_rpc_javaobj::Encoder<'_>,
            ) -> ::std::result::Result<::spark_rpc_javaobj::Value, ::spark_rpc_javaobj::EncodeError> {
                #write
            }
        }

        #[automatically_derived]
        impl ::spark_rpc_javaobj::FromJava for #name {
            fn from_java(
                value: ::spark_rpc_javaobj::Value,
                input: &mut ::spark_rpc_javaobj::Decoder<'_>,
            ) -> ::std::result::Result<Self, ::spark_rpc_javaobj::DecodeError> {
                #read
            }
        }
    })
}

fn java(class: &LitStr, variants: &[&syn::Ident], names: &[String]) -> (String, TokenStream, TokenStream) {
    let write = quote! {
        let constant = match self {
            #(Self::#variants => #names,)*
        };
        ::std::result::Result::Ok(out.enum_constant(#class, constant))
    };
    let read = quote! {
        let constant = input.decode::<::spark_rpc_javaobj::JavaEnum>(value)?;
        match constant.constant.as_str() {
            #(#names if constant.class == #class => ::std::result::Result::Ok(Self::#variants),)*
            _ => ::std::result::Result::Err(input.expected(value, #class)),
        }
    };
    (format!("L{};", class.value().replace('.', "/")), write, read)
}

fn scala(
    class: &LitStr,
    variants: &[&syn::Ident],
    ids: &[TokenStream],
) -> (String, TokenStream, TokenStream) {
    let write = quote! {
        let id: i32 = match self {
            #(Self::#variants => #ids,)*
        };
        ::std::result::Result::Ok(out.enumeration_value(#class, id))
    };
    let read = quote! {
        let found = input.decode::<::spark_rpc_javaobj::ScalaEnum>(value)?;
        #(if found.module == #class && found.id == #ids {
            return ::std::result::Result::Ok(Self::#variants);
        })*
        ::std::result::Result::Err(input.expected(value, #class))
    };
    ("Lscala/Enumeration$Value;".to_owned(), write, read)
}
