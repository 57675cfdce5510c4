//! What stands in `#[java(…)]`.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, Ident, LitStr};

/// All that can be said of a type, a variant or a field; what fits where is checked by the user of each.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) class: Option<LitStr>,
    pub(crate) uid: Option<Expr>,
    pub(crate) extends: Vec<LitStr>,
    pub(crate) write_object: bool,
    pub(crate) module: bool,
    pub(crate) java_enum: Option<LitStr>,
    pub(crate) scala_enum: Option<LitStr>,
    pub(crate) transparent: bool,
    pub(crate) other: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) id: Option<Expr>,
    pub(crate) ty: Option<LitStr>,
    pub(crate) superclass: bool,
    pub(crate) nullable: bool,
    pub(crate) default: bool,
    /// What stands there, in order.
    seen: Vec<Ident>,
}

/// Places for attributes, and what may stand there.
pub(crate) const ON_CLASS: (&str, &[&str]) =
    ("a class", &["class", "uid", "extends", "write_object", "module"]);
pub(crate) const ON_ENUM: (&str, &[&str]) = ("an enum of classes", &["ty"]);
pub(crate) const ON_CONSTANTS: (&str, &[&str]) = ("an enum of constants", &["java_enum", "scala_enum"]);
pub(crate) const ON_FIELD: (&str, &[&str]) =
    ("a field", &["name", "ty", "superclass", "nullable", "default"]);
pub(crate) const ON_WRAPPER: (&str, &[&str]) = ("a wrapping variant", &["transparent", "other"]);
pub(crate) const ON_NEWTYPE: (&str, &[&str]) = ("a wrapping struct", &["transparent"]);
pub(crate) const ON_JAVA_CONSTANT: (&str, &[&str]) = ("a constant of a Java enum", &["name"]);
pub(crate) const ON_SCALA_CONSTANT: (&str, &[&str]) = ("a value of a Scala enumeration", &["id"]);

impl Attributes {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut all = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("java"))
        {
            attribute.parse_nested_meta(|meta| all.set(&meta))?;
        }
        Ok(all)
    }

    /// Complains about attributes that mean nothing in this place.
    pub(crate) fn only(&self, (place, allowed): (&str, &[&str])) -> syn::Result<()> {
        match self
            .seen
            .iter()
            .find(|name| !allowed.iter().any(|allowed| *name == allowed))
        {
            Some(name) => {
                let text = format!(
                    "`{name}` means nothing on {place}; allowed are {}",
                    allowed.join(", ")
                );
                Err(syn::Error::new(name.span(), text))
            }
            None => Ok(()),
        }
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let Some(name) = meta.path.get_ident() else {
            return Err(meta.error("unknown attribute"));
        };
        match name.to_string().as_str() {
            "class" => self.class = Some(meta.value()?.parse()?),
            "uid" => self.uid = Some(meta.value()?.parse()?),
            "extends" => self.extends.push(meta.value()?.parse()?),
            "write_object" => self.write_object = true,
            "module" => self.module = true,
            "java_enum" => self.java_enum = Some(meta.value()?.parse()?),
            "scala_enum" => self.scala_enum = Some(meta.value()?.parse()?),
            "transparent" => self.transparent = true,
            "other" => self.other = true,
            "name" => self.name = Some(meta.value()?.parse()?),
            "id" => self.id = Some(meta.value()?.parse()?),
            "ty" => self.ty = Some(meta.value()?.parse()?),
            "superclass" => self.superclass = true,
            "nullable" => self.nullable = true,
            "default" => self.default = true,
            _ => return Err(meta.error("unknown attribute")),
        }
        self.seen.push(name.clone());
        Ok(())
    }
}
