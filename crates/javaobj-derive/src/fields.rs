//! The fields of a struct or variant.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Fields, GenericArgument, Index, Member, PathArguments, Type};

use crate::attributes::{Attributes, ON_FIELD};

/// One field and what its attributes say.
pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    /// The variable that it is bound to where it is written.
    pub(crate) binding: Ident,
    pub(crate) ty: &'a Type,
    attributes: Attributes,
    java_name: String,
}

pub(crate) fn of(fields: &Fields) -> syn::Result<Vec<Field<'_>>> {
    let mut all = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let attributes = Attributes::of(&field.attrs)?;
        attributes.only(ON_FIELD)?;
        let java_name = match (&attributes.name, &field.ident) {
            (Some(name), _) => name.value(),
            (None, Some(ident)) => camel_case(&ident.to_string()),
            (None, None) if attributes.superclass => String::new(),
            (None, None) => {
                return Err(syn::Error::new(
                    field.span(),
                    "a field without a Rust name needs a Java name: #[java(name = \"…\")]",
                ));
            }
        };
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(Index::from(at)),
        };
        all.push(Field {
            member,
            binding: format_ident!("field_{at}"),
            ty: &field.ty,
            attributes,
            java_name,
        });
    }
    if let Some(second) = all.iter().filter(|field| field.attributes.superclass).nth(1) {
        return Err(syn::Error::new(second.ty.span(), "a class has one superclass"));
    }
    Ok(all)
}

impl Field<'_> {
    pub(crate) fn is_superclass(&self) -> bool {
        self.attributes.superclass
    }

    /// Adds the field to `level`, from the variable that it is bound to.
    pub(crate) fn write(&self) -> syn::Result<TokenStream> {
        let (binding, name, ty) = (&self.binding, &self.java_name, self.ty);
        // Errors about a type that is no Java value point at the type.
        let span = ty.span();
        let described = if self.attributes.nullable {
            let inner = inner_of_option(ty)?;
            quote_spanned!(span=> ::spark_rpc_javaobj::Nullable<#inner>)
        } else {
            quote!(#ty)
        };
        let descriptor = match &self.attributes.ty {
            Some(descriptor) => quote!(::std::borrow::Cow::Borrowed(#descriptor)),
            None => quote_spanned! {span=>
                <#described as ::spark_rpc_javaobj::ToJava>::descriptor(out.scala())
            },
        };
        let value = if self.attributes.nullable {
            quote_spanned! {span=> match #binding {
                ::std::option::Option::Some(value) => ::spark_rpc_javaobj::ToJava::to_java(value, out)?,
                ::std::option::Option::None => ::spark_rpc_javaobj::Value::Null,
            }}
        } else {
            quote_spanned!(span=> ::spark_rpc_javaobj::ToJava::to_java(#binding, out)?)
        };
        Ok(quote! {
            let value = #value;
            let descriptor = #descriptor;
            level.fields.push(::spark_rpc_javaobj::LevelField { name: #name, descriptor, value });
        })
    }

    /// Makes the field of `object`, whose class or superclass `class` is.
    pub(crate) fn read(&self, class: &TokenStream) -> syn::Result<TokenStream> {
        let (name, ty) = (&self.java_name, self.ty);
        let span = ty.span();
        if self.attributes.superclass {
            return Ok(quote_spanned! {span=>
                <#ty as ::spark_rpc_javaobj::JavaObject>::from_object(object, input)?
            });
        }
        let read = if self.attributes.nullable {
            let inner = inner_of_option(ty)?;
            quote_spanned! {span=>
                input.field_if_any::<::spark_rpc_javaobj::Nullable<#inner>>(object, #class, #name)?
                    .map(|value| value.0)
            }
        } else {
            quote_spanned!(span=> input.field_if_any::<#ty>(object, #class, #name)?)
        };
        let otherwise = if self.attributes.default {
            quote!(::std::default::Default::default())
        } else {
            quote!(return ::std::result::Result::Err(
                ::spark_rpc_javaobj::DecodeError::MissingField {
                    class: object.class_name().to_owned(),
                    field: #name.to_owned(),
                }
            ))
        };
        Ok(quote! {
            match #read {
                ::std::option::Option::Some(value) => value,
                ::std::option::Option::None => #otherwise,
            }
        })
    }
}

fn inner_of_option(ty: &Type) -> syn::Result<&Type> {
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Option"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(inner)) = arguments.args.first()
    {
        return Ok(inner);
    }
    Err(syn::Error::new(ty.span(), "what is nullable must be an Option"))
}

/// `default_ask_timeout` as Java writes it: `defaultAskTimeout`.
fn camel_case(name: &str) -> String {
    let mut words = name
        .trim_start_matches("r#")
        .split('_')
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// `FinishedStates` as Java names constants: `FINISHED_STATES`.
pub(crate) fn capitals(name: &str) -> String {
    let mut capitals = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !capitals.is_empty() {
            capitals.push('_');
        }
        capitals.push(letter.to_ascii_uppercase());
    }
    capitals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_their_case() {
        assert_eq!(camel_case("default_ask_timeout"), "defaultAskTimeout");
        assert_eq!(camel_case("port"), "port");
        assert_eq!(camel_case("r#type"), "type");
        assert_eq!(camel_case("_1"), "1");
        assert_eq!(capitals("CompletingRecovery"), "COMPLETING_RECOVERY");
        assert_eq!(capitals("Alive"), "ALIVE");
    }
}
