//! The derive macro of `spark-rpc-javaobj`, whose page explains it with examples.

mod attributes;
mod classes;
mod constants;
mod fields;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use syn::{Data, DeriveInput, parse_macro_input};

/// Maps a struct to a Java class, or an enum to several classes or to the constants of an enum.
///
/// On the type, or on a variant of an enum:
///
/// | Attribute | Meaning |
/// | --- | --- |
/// | `class = "a.B"` | the class, named as Java does it at run time: `a.B$C` for one inside another |
/// | `uid = 42` | the `serialVersionUID`, where the class fixes it |
/// | `extends = "a.A"` | a superclass without fields; again for that one's superclass |
/// | `write_object` | the class has a `writeObject` that adds nothing to the fields |
/// | `module` | a Scala object; the class's name ends with `$` |
/// | `java_enum = "a.B"` | on an enum: its variants are the constants of a Java enum |
/// | `scala_enum = "a.B$"` | on an enum: its variants are the values of a Scala `Enumeration`, in order |
/// | `ty = "La/B;"` | on an enum: the descriptor of fields that hold it, if not `Ljava/lang/Object;` |
/// | `transparent` | on a struct or a variant with one unnamed field: that type's own class |
/// | `other` | on a variant with one field: anything that is none of the others, such as `Any` |
///
/// On a field:
///
/// | Attribute | Meaning |
/// | --- | --- |
/// | `name = "x"` | the Java name, if it is not the Rust name in camel case |
/// | `ty = "La/B;"` | the descriptor of its type, if the Rust type does not tell |
/// | `superclass` | the field is the part of the object that belongs to its superclass |
/// | `nullable` | `None` is null, not Scala's `None` |
/// | `default` | may be missing when read, and is then `Default::default()` |
///
/// On a variant that stands for a constant: `name = "X"` for Java, if it is not the Rust name in capitals;
/// `id = 3` for Scala, if it is not one more than that of the variant before.
#[proc_macro_derive(JavaObject, attributes(java))]
pub fn java_object(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

fn expand(input: &DeriveInput) -> syn::Result<TokenStream2> {
    let attributes = attributes::Attributes::of(&input.attrs)?;
    match &input.data {
        Data::Struct(data) if attributes.transparent => classes::of_newtype(input, &attributes, data),
        Data::Struct(data) => classes::of_struct(input, &attributes, data),
        Data::Enum(data) if attributes.java_enum.is_some() || attributes.scala_enum.is_some() => {
            constants::of_enum(input, &attributes, data)
        }
        Data::Enum(data) => classes::of_enum(input, &attributes, data),
        Data::Union(_) => Err(syn::Error::new(input.ident.span(), "a union has no Java class")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(input: &str) -> String {
        let input = syn::parse_str(input).unwrap();
        expand(&input).expect_err("this makes no sense").to_string()
    }

    #[test]
    fn what_makes_no_sense_is_explained() {
        for (input, text) in [
            ("struct A { x: i32 }", "which Java class?"),
            ("#[java(class = \"a/A\")] struct A;", "dots, not slashes"),
            ("#[java(class = \"a.A\", module)] struct A;", "ends with `$`"),
            (
                "#[java(class = \"a.A\", clas = 1)] struct A;",
                "unknown attribute",
            ),
            (
                "#[java(class = \"a.A\", nullable)] struct A;",
                "`nullable` means nothing on a class",
            ),
            ("#[java(class = \"a.A\")] struct A(i32);", "needs a Java name"),
            ("#[java(transparent)] struct A(i32, i32);", "holds one value"),
            (
                "#[java(transparent, class = \"a.A\")] struct A(i32);",
                "means nothing on a wrapping struct",
            ),
            (
                "#[java(class = \"a.A\")] struct A { #[java(class = \"a.B\")] x: i32 }",
                "means nothing on a field",
            ),
            (
                "#[java(class = \"a.A\")] struct A { #[java(nullable)] x: i32 }",
                "must be an Option",
            ),
            (
                "#[java(class = \"a.A\")] struct A { #[java(superclass)] x: X, #[java(superclass)] y: Y }",
                "one superclass",
            ),
            ("enum A { B }", "which Java class?"),
            (
                "#[java(class = \"a.A\")] enum A { B }",
                "means nothing on an enum of classes",
            ),
            ("enum A { #[java(transparent)] B }", "holds one value"),
            ("enum A { #[java(other)] B(X, Y) }", "holds one value"),
            (
                "#[java(java_enum = \"a.A\")] enum A { B(i32) }",
                "a constant holds nothing",
            ),
            (
                "#[java(java_enum = \"a.A\")] enum A { #[java(id = 1)] B }",
                "means nothing on a constant",
            ),
            ("#[java(scala_enum = \"a.A\")] enum A { B }", "ends with `$`"),
            ("union A { x: i32 }", "a union has no Java class"),
        ] {
            let found = error(input);
            assert!(found.contains(text), "{input}: {found}");
        }
    }
}
