//! Class descriptors.

use std::mem;

use super::{Handle, Reader, unexpected};
use crate::class::{ClassDesc, ClassFlags, ClassKind, Field, FieldKind};
use crate::graph::ClassId;
use crate::limits::Limit;
use crate::read_error::ReadError;
use crate::tag;

impl Reader<'_> {
    /// Reads the class descriptor of an object, which cannot do without one.
    pub(super) fn read_class_of(&mut self, at: usize, what: &'static str) -> Result<ClassId, ReadError> {
        match self.read_class()? {
            Some(class) => Ok(class),
            None => Err(ReadError::WrongClass {
                at,
                class: "null".to_owned(),
                flags: 0,
                what,
            }),
        }
    }

    /// Reads a class descriptor, a reference to one, or null.
    pub(super) fn read_class(&mut self) -> Result<Option<ClassId>, ReadError> {
        const EXPECTED: &str = "a class descriptor";
        let at = self.at;
        match self.u8()? {
            tag::NULL => Ok(None),
            tag::REFERENCE => match self.read_handle(at, EXPECTED)? {
                Handle::Class(id) => {
                    self.check_complete(at, id)?;
                    Ok(Some(id))
                }
                Handle::Object(_) => Err(self.bad_reference(at, "an object", EXPECTED)),
            },
            tag @ (tag::CLASS_DESC | tag::PROXY_CLASS_DESC) => {
                if self.depth >= self.limits.depth {
                    return Err(self.exceeded(Limit::Depth, self.limits.depth));
                }
                self.depth += 1;
                let id = if tag == tag::CLASS_DESC {
                    self.read_plain_class()?
                } else {
                    self.read_proxy_class()?
                };
                self.open_classes.push(id);
                let mut annotation = Vec::new();
                self.read_annotation(&mut annotation)?;
                let super_class = self.read_class()?;
                self.open_classes.pop();
                let desc = &mut self.graph.classes[id.0 as usize];
                desc.annotation = annotation;
                desc.super_class = super_class;
                self.depth -= 1;
                Ok(Some(id))
            }
            tag => Err(unexpected(at, tag, EXPECTED)),
        }
    }

    fn read_plain_class(&mut self) -> Result<ClassId, ReadError> {
        let name = self.name()?;
        let uid = i64::from_be_bytes(self.array()?);
        let id = self.new_class(ClassDesc::new(name, uid, ClassFlags::NONE))?;
        let class_flags = ClassFlags(self.u8()?);
        let count = usize::from(self.u16()?);
        // A field takes three bytes at least: a letter and an empty name.
        self.need(count * 3)?;
        self.charge(count * mem::size_of::<Field>())?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let field = self.read_field_desc()?;
            all.push(field);
        }
        if let ClassKind::Plain { flags, fields, .. } = &mut self.graph.classes[id.0 as usize].kind {
            *flags = class_flags;
            *fields = all;
        }
        Ok(id)
    }

    fn read_field_desc(&mut self) -> Result<Field, ReadError> {
        let at = self.at;
        let code = self.u8()?;
        let kind = FieldKind::from_code(code).ok_or(ReadError::BadFieldType { at, code })?;
        let name = self.name()?;
        let type_name = if kind.is_primitive() {
            None
        } else {
            Some(self.read_string_object("the type of a field")?)
        };
        Ok(Field {
            name,
            kind,
            type_name,
        })
    }

    fn read_proxy_class(&mut self) -> Result<ClassId, ReadError> {
        let id = self.new_class(ClassDesc {
            kind: ClassKind::Proxy {
                interfaces: Vec::new(),
            },
            annotation: Vec::new(),
            super_class: None,
        })?;
        let count = self.length()?;
        // A name takes two bytes at least.
        self.need(count.saturating_mul(2))?;
        self.charge(count.saturating_mul(mem::size_of::<String>()))?;
        let mut interfaces = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.name()?;
            interfaces.push(name);
        }
        self.graph.classes[id.0 as usize].kind = ClassKind::Proxy { interfaces };
        Ok(id)
    }

    pub(super) fn check_complete(&self, at: usize, class: ClassId) -> Result<(), ReadError> {
        if self.open_classes.contains(&class) {
            return Err(self.bad_reference(
                at,
                "a class descriptor that has not ended",
                "a whole class descriptor",
            ));
        }
        Ok(())
    }
}
