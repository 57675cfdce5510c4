//! What stands in `#[java(…)]`.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, LitStr};

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
}

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
        Ok(())
    }
}
