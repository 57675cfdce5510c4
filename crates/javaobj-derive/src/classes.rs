//! Structs and the variants of enums that stand for classes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{DataEnum, DataStruct, DeriveInput, Fields, Generics, LitStr, Member, parse_quote};

use crate::attributes::{Attributes, ON_CLASS, ON_ENUM, ON_NEWTYPE, ON_WRAPPER};
use crate::fields::{self, Field};

pub(crate) fn of_struct(
    input: &DeriveInput,
    attributes: &Attributes,
    data: &DataStruct,
) -> syn::Result<TokenStream> {
    attributes.only(ON_CLASS)?;
    let class = class_of(attributes, input.ident.span())?;
    let all = fields::of(&data.fields)?;
    let name = &input.ident;
    let generics = bounded(&input.generics);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let class_name = quote!(<Self as ::spark_rpc_javaobj::JavaObject>::CLASS);
    let levels = levels(&class, attributes, &all)?;
    let bind = all.iter().map(|field| {
        let (binding, member) = (&field.binding, &field.member);
        quote!(let #binding = &self.#member;)
    });
    let read = construct(&quote!(Self), &class_name, &all)?;
    let descriptor = descriptor(&class);
    let (write, accept) = if attributes.module {
        (
            quote!(::std::result::Result::Ok(out.module_of(levels))),
            quote! {
                if input.module(value) != ::std::option::Option::Some(#class_name) {
                    return ::std::result::Result::Err(input.expected(value, #class_name));
                }
            },
        )
    } else {
        (
            quote!(::std::result::Result::Ok(out.instance(levels))),
            quote! {
                if !object.is_a(#class_name) {
                    return ::std::result::Result::Err(input.expected(value, #class_name));
                }
            },
        )
    };
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::JavaObject for #name #type_generics #where_clause {
            const CLASS: &'static str = #class;

            fn levels(
                &self,
                out: &mut ::spark_rpc_javaobj::Encoder<'_>,
                levels: &mut ::std::vec::Vec<::spark_rpc_javaobj::Level<'static>>,
            ) -> ::std::result::Result<(), ::spark_rpc_javaobj::EncodeError> {
                let _ = &out;
                #(#bind)*
                #levels
                ::std::result::Result::Ok(())
            }

            fn from_object(
                object: &::spark_rpc_javaobj::InstanceRef<'_>,
                input: &mut ::spark_rpc_javaobj::Decoder<'_>,
            ) -> ::std::result::Result<Self, ::spark_rpc_javaobj::DecodeError> {
                let _ = (&object, &input);
                ::std::result::Result::Ok(#read)
            }
        }

        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::ToJava for #name #type_generics #where_clause {
            fn descriptor(_: ::spark_rpc_javaobj::Scala) -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#descriptor)
            }

            fn to_java(
                &self,
                out: &mut ::spark_rpc_javaobj::Encoder<'_>,
            ) -> ::std::result::Result<::spark_rpc_javaobj::Value, ::spark_rpc_javaobj::EncodeError> {
                let mut levels = ::std::vec::Vec::new();
                ::spark_rpc_javaobj::JavaObject::levels(self, out, &mut levels)?;
                #write
            }
        }

        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::FromJava for #name #type_generics #where_clause {
            fn from_java(
                value: ::spark_rpc_javaobj::Value,
                input: &mut ::spark_rpc_javaobj::Decoder<'_>,
            ) -> ::std::result::Result<Self, ::spark_rpc_javaobj::DecodeError> {
                let object = input.instance(value, #class_name)?;
                #accept
                ::spark_rpc_javaobj::JavaObject::from_object(&object, input)
            }

            fn matches(
                value: ::spark_rpc_javaobj::Value,
                input: &::spark_rpc_javaobj::Decoder<'_>,
            ) -> bool {
                <Self as ::spark_rpc_javaobj::JavaObject>::accepts(value, input)
            }
        }
    })
}

/// A struct that has the class of the one value in it.
pub(crate) fn of_newtype(
    input: &DeriveInput,
    attributes: &Attributes,
    data: &DataStruct,
) -> syn::Result<TokenStream> {
    attributes.only(ON_NEWTYPE)?;
    let field = match &data.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => &fields.unnamed[0],
        other => {
            return Err(syn::Error::new(
                other.span(),
                "this struct holds one value, without a name",
            ));
        }
    };
    let (name, ty) = (&input.ident, &field.ty);
    let generics = bounded(&input.generics);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::ToJava for #name #type_generics #where_clause {
            fn descriptor(scala: ::spark_rpc_javaobj::Scala) -> ::std::borrow::Cow<'static, str> {
                <#ty as ::spark_rpc_javaobj::ToJava>::descriptor(scala)
            }

            fn to_java(
                &self,
                out: &mut ::spark_rpc_javaobj::Encoder<'_>,
            ) -> ::std::result::Result<::spark_rpc_javaobj::Value, ::spark_rpc_javaobj::EncodeError> {
                ::spark_rpc_javaobj::ToJava::to_java(&self.0, out)
            }
        }

        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::FromJava for #name #type_generics #where_clause {
            fn from_java(
                value: ::spark_rpc_javaobj::Value,
                input: &mut ::spark_rpc_javaobj::Decoder<'_>,
            ) -> ::std::result::Result<Self, ::spark_rpc_javaobj::DecodeError> {
                input.decode(value).map(Self)
            }

            fn matches(
                value: ::spark_rpc_javaobj::Value,
                input: &::spark_rpc_javaobj::Decoder<'_>,
            ) -> bool {
                <#ty as ::spark_rpc_javaobj::FromJava>::matches(value, input)
            }
        }
    })
}

pub(crate) fn of_enum(
    input: &DeriveInput,
    attributes: &Attributes,
    data: &DataEnum,
) -> syn::Result<TokenStream> {
    attributes.only(ON_ENUM)?;
    let name = &input.ident;
    let generics = bounded(&input.generics);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let mut writes = Vec::new();
    let mut exact = Vec::new();
    let mut by_superclass = Vec::new();
    let mut other = None;
    let mut classes = Vec::new();
    let mut wrapped = Vec::new();
    for variant in &data.variants {
        let own = Attributes::of(&variant.attrs)?;
        let ident = &variant.ident;
        if own.transparent || own.other {
            own.only(ON_WRAPPER)?;
            let Fields::Unnamed(fields) = &variant.fields else {
                return Err(syn::Error::new(variant.span(), "this variant holds one value"));
            };
            let (Some(field), 1) = (fields.unnamed.first(), fields.unnamed.len()) else {
                return Err(syn::Error::new(variant.span(), "this variant holds one value"));
            };
            let ty = &field.ty;
            writes.push(quote!(Self::#ident(value) => ::spark_rpc_javaobj::ToJava::to_java(value, out),));
            let read = quote!(input.decode::<#ty>(value).map(Self::#ident));
            if own.other {
                other = Some(read);
            } else {
                wrapped.push(quote!(<#ty as ::spark_rpc_javaobj::JavaObject>::accepts(value, input)));
                by_superclass.push(quote! {
                    if <#ty as ::spark_rpc_javaobj::JavaObject>::accepts(value, input) {
                        return #read;
                    }
                });
            }
            continue;
        }
        own.only(ON_CLASS)?;
        let class = class_of(&own, variant.ident.span())?;
        classes.push(class.clone());
        let all = fields::of(&variant.fields)?;
        let bind = all.iter().map(|field| {
            let (member, binding) = (&field.member, &field.binding);
            quote!(#member: #binding)
        });
        let levels = levels(&class, &own, &all)?;
        let add = if own.module {
            quote!(out.module_of(::std::mem::take(levels)))
        } else {
            quote!(out.instance(::std::mem::take(levels)))
        };
        writes.push(quote! {
            Self::#ident { #(#bind),* } => {
                let levels = &mut ::std::vec::Vec::new();
                #levels
                ::std::result::Result::Ok(#add)
            }
        });
        let read = construct(&quote!(Self::#ident), &quote!(#class), &all)?;
        exact.push(quote! {
            ::std::option::Option::Some(#class) => {
                let object = &input.instance(value, #class)?;
                let _ = object;
                return ::std::result::Result::Ok(#read);
            }
        });
    }
    let takes_all = other.is_some();
    let expected = format!("one of the classes of {name}");
    let otherwise =
        other.unwrap_or_else(|| quote!(::std::result::Result::Err(input.expected(value, #expected))));
    let descriptor = match &attributes.ty {
        Some(descriptor) => descriptor.value(),
        None => "Ljava/lang/Object;".to_owned(),
    };
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::ToJava for #name #type_generics #where_clause {
            fn descriptor(_: ::spark_rpc_javaobj::Scala) -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#descriptor)
            }

            fn to_java(
                &self,
                out: &mut ::spark_rpc_javaobj::Encoder<'_>,
            ) -> ::std::result::Result<::spark_rpc_javaobj::Value, ::spark_rpc_javaobj::EncodeError> {
                match self {
                    #(#writes)*
                }
            }
        }

        #[automatically_derived]
        impl #impl_generics ::spark_rpc_javaobj::FromJava for #name #type_generics #where_clause {
            fn from_java(
                value: ::spark_rpc_javaobj::Value,
                input: &mut ::spark_rpc_javaobj::Decoder<'_>,
            ) -> ::std::result::Result<Self, ::spark_rpc_javaobj::DecodeError> {
                match input.class(value) {
                    #(#exact)*
                    _ => {}
                }
                #(#by_superclass)*
                #otherwise
            }

            #[allow(unused_variables)]
            fn matches(
                value: ::spark_rpc_javaobj::Value,
                input: &::spark_rpc_javaobj::Decoder<'_>,
            ) -> bool {
                let known: &[&str] = &[#(#classes),*];
                #takes_all || input.class(value).is_some_and(|class| known.contains(&class)) #(|| #wrapped)*
            }
        }
    })
}

/// Pushes the levels of a class onto `levels`, from variables that the fields are bound to.
fn levels(class: &LitStr, attributes: &Attributes, all: &[Field<'_>]) -> syn::Result<TokenStream> {
    let above = all.iter().find(|field| field.is_superclass()).map(|field| {
        let (binding, ty) = (&field.binding, field.ty);
        quote!(<#ty as ::spark_rpc_javaobj::JavaObject>::levels(#binding, out, levels)?;)
    });
    let extends = attributes.extends.iter().rev();
    let uid = attributes
        .uid
        .as_ref()
        .map(|uid| quote!(level.uid = ::std::option::Option::Some(#uid);));
    let flags = attributes
        .write_object
        .then(|| quote!(level.flags = ::spark_rpc_javaobj::ClassFlags::WRITE_OBJECT;));
    let own = all.iter().filter(|field| !field.is_superclass());
    let fields = own.map(Field::write).collect::<syn::Result<Vec<_>>>()?;
    Ok(quote! {
        #above
        #(levels.push(::spark_rpc_javaobj::Level::new(#extends));)*
        #[allow(unused_mut)]
        let mut level = ::spark_rpc_javaobj::Level::new(#class);
        #uid
        #flags
        #(#fields)*
        levels.push(level);
    })
}

/// Makes the struct or variant of `object`.
fn construct(what: &TokenStream, class: &TokenStream, all: &[Field<'_>]) -> syn::Result<TokenStream> {
    let members: Vec<&Member> = all.iter().map(|field| &field.member).collect();
    let values = all
        .iter()
        .map(|field| field.read(class))
        .collect::<syn::Result<Vec<_>>>()?;
    Ok(quote!(#what { #(#members: #values),* }))
}

fn class_of(attributes: &Attributes, span: proc_macro2::Span) -> syn::Result<LitStr> {
    let Some(class) = attributes.class.clone() else {
        return Err(syn::Error::new(span, "which Java class? #[java(class = \"…\")]"));
    };
    if class.value().contains('/') {
        return Err(syn::Error::new(
            class.span(),
            "a class's name has dots, not slashes",
        ));
    }
    if attributes.module && !class.value().ends_with('$') {
        return Err(syn::Error::new(
            class.span(),
            "the class of a Scala object ends with `$`",
        ));
    }
    Ok(class)
}

fn descriptor(class: &LitStr) -> String {
    format!("L{};", class.value().replace('.', "/"))
}

/// Asks of all type parameters that they can be written and read.
fn bounded(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::spark_rpc_javaobj::ToJava));
        parameter.bounds.push(parse_quote!(::spark_rpc_javaobj::FromJava));
    }
    generics
}
