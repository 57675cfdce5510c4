//! A method that handles a type of message.

use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::{Ident, ImplItemFn, Result, ReturnType, Type};

use super::callback::CallbackKind;
use super::generics::mentions_self;
use super::options::MethodOptions;
use super::signature::{Method, Returns, bare, first_argument, is_named, is_unit, parameters, same_text};
use crate::keys::Errors;

/// A method that handles a type of message.
pub(super) struct Handler {
    pub(super) method: Method,
    /// The variant of the inbound enum, named after the method.
    pub(super) variant: Ident,
    pub(super) message: Type,
    /// The type of the reply, for a request.
    pub(super) reply: Option<Type>,
    /// What the method takes after the message.
    pub(super) extras: Vec<Extra>,
    pub(super) answer: Answer,
}

/// A parameter after the message, by its type.
pub(super) enum Extra {
    /// `&RpcCallContext`.
    Call(Type),
    /// `Reply<T>`.
    Reply(Type),
}

/// What becomes of what a handler returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is no reply.
    OneWay(Outcome),
    /// The handler has the reply handle.
    Later(Outcome),
    /// It is the reply.
    Value,
    /// It is a result with the reply, or with the asker's failure.
    Fallible,
    /// The reply handle, if there is one, is inside the message.
    Raw(Outcome),
}

/// How a method ends that is not asked for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    Result,
}

impl Handler {
    pub(super) fn read(method: &ImplItemFn, options: &MethodOptions, errors: &mut Errors) -> Option<Self> {
        let signature = &method.sig;
        let mut parameters = parameters(signature);
        let Some(message) = parameters.next() else {
            errors.add(&signature.ident, no_message(&signature.ident));
            return None;
        };
        errors.take(check_message(&signature.ident, &message.ty))?;
        let mut extras = Vec::new();
        for parameter in parameters {
            let extra = errors.take(read_extra(&parameter.ty, &extras));
            extras.extend(extra);
        }
        let handle = extras.iter().find_map(|extra| match extra {
            Extra::Reply(ty) => Some(ty),
            Extra::Call(_) => None,
        });
        let (answer, reply) = errors.take(read_answer(method, handle, options))?;
        Some(Self {
            method: Method::read(method, "a handler", errors),
            variant: variant(&signature.ident),
            message: (*message.ty).clone(),
            reply,
            extras,
            answer,
        })
    }

    /// Whether the message is an asked one with a type.
    pub(super) fn is_request(&self) -> bool {
        self.reply.is_some()
    }

    pub(super) fn is_raw(&self) -> bool {
        matches!(self.answer, Answer::Raw(_))
    }
}

fn no_message(name: &Ident) -> String {
    let name = name.unraw().to_string();
    let hint = if name.starts_with("on_") {
        format!(" (the callbacks are {})", CallbackKind::names())
    } else {
        String::new()
    };
    format!(
        "a handler takes a message after `self`{hint}; if this is no handler, mark it `#[rpc(skip)]` or move it to \
         another `impl` block"
    )
}

fn check_message(name: &Ident, ty: &Type) -> Result<()> {
    match bare(ty) {
        Type::Reference(_) if is_call(ty) => {
            Err(error(ty, "the message comes first, then `&RpcCallContext`"))
        }
        Type::Reference(_) if name.to_string().starts_with("on_") => Err(error(ty, no_message(name))),
        Type::Reference(_) => Err(error(ty, "a handler takes its message by value")),
        Type::ImplTrait(_) => Err(error(ty, "a handler takes one type of message, not `impl Trait`")),
        Type::Infer(_) => Err(error(ty, "the type of the message has to be given")),
        _ if mentions_self(ty) => Err(error(
            ty,
            "the type of the message has to be written without `Self`",
        )),
        _ => Ok(()),
    }
}

fn read_extra(ty: &Type, before: &[Extra]) -> Result<Extra> {
    let is_shared_reference = matches!(bare(ty), Type::Reference(ty) if ty.mutability.is_none());
    if is_shared_reference {
        if before.iter().any(|extra| matches!(extra, Extra::Call(_))) {
            return Err(error(ty, "a second `&RpcCallContext`"));
        }
        Ok(Extra::Call(ty.clone()))
    } else if is_named(ty, "Reply") {
        if before.iter().any(|extra| matches!(extra, Extra::Reply(_))) {
            return Err(error(ty, "a second `Reply`"));
        }
        Ok(Extra::Reply(ty.clone()))
    } else {
        Err(error(
            ty,
            "a handler takes one message; after it may come `&RpcCallContext` and `Reply<T>`",
        ))
    }
}

fn is_call(ty: &Type) -> bool {
    matches!(bare(ty), Type::Reference(ty) if is_named(&ty.elem, "RpcCallContext"))
}

/// What becomes of what the method returns, and the type of the reply.
fn read_answer(
    method: &ImplItemFn,
    handle: Option<&Type>,
    options: &MethodOptions,
) -> Result<(Answer, Option<Type>)> {
    let returns = Returns::read(&method.sig.output);
    if options.raw.is_some() {
        if let Some(handle) = handle {
            return Err(error(
                handle,
                "the reply to a raw message is in its handle: `Raw::reply`",
            ));
        }
        let outcome = outcome(&returns, "the handler of raw messages")?;
        return Ok((Answer::Raw(outcome), None));
    }
    if let Some(handle) = handle {
        if let Some(reply) = &options.reply {
            return Err(error(
                reply,
                "`reply` has no meaning here: the parameter `Reply<T>` tells the type",
            ));
        }
        let Some(reply) = first_argument(handle) else {
            return Err(error(handle, "the type of the reply has to be given: `Reply<T>`"));
        };
        let outcome = outcome(&returns, "a handler that has a `Reply`")?;
        return Ok((Answer::Later(outcome), Some(reply.clone())));
    }
    if let Some(reply) = &options.reply {
        let is_returned = match &method.sig.output {
            ReturnType::Default => is_unit(reply),
            ReturnType::Type(_, returned) => same_text(reply, returned),
        };
        let answer = if is_returned {
            Answer::Value
        } else {
            Answer::Fallible
        };
        return Ok((answer, Some(reply.clone())));
    }
    Ok(match returns {
        Returns::Nothing => (Answer::OneWay(Outcome::Nothing), None),
        Returns::Result(None) => (Answer::OneWay(Outcome::Result), None),
        Returns::Result(Some(reply)) => (Answer::Fallible, Some(reply.clone())),
        Returns::Value(reply) => (Answer::Value, Some(reply.clone())),
    })
}

/// How a method ends that has nobody to give a value to.
pub(super) fn outcome(returns: &Returns<'_>, what: &str) -> Result<Outcome> {
    match returns {
        Returns::Nothing => Ok(Outcome::Nothing),
        Returns::Result(None) => Ok(Outcome::Result),
        Returns::Result(Some(ty)) | Returns::Value(ty) => {
            Err(error(ty, format!("{what} returns nothing, or a `Result<(), E>`")))
        }
    }
}

/// Reports messages and variants that two methods claim.
pub(super) fn check_distinct(handlers: &[Handler], errors: &mut Errors) {
    for (at, second) in handlers.iter().enumerate() {
        for first in &handlers[..at] {
            // Under conditions they may never meet; if they do, the compiler finds the names twice.
            let conditional = !first.method.conditions.is_empty() || !second.method.conditions.is_empty();
            if conditional {
                continue;
            }
            let name = &first.method.name;
            if first.is_raw() && second.is_raw() {
                errors.add(&second.message, format!("`{name}` takes raw messages already"));
            } else if same_text(&first.message, &second.message) {
                errors.add(&second.message, format!("`{name}` handles this message already"));
            } else if first.variant == second.variant && first.method.name != second.method.name {
                errors.add(
                    &second.method.name,
                    format!("`{name}` has the same variant `{}`", first.variant),
                );
            }
        }
    }
}

/// `say_hi` becomes `SayHi`.
fn variant(name: &Ident) -> Ident {
    let mut text = String::new();
    for word in name.unraw().to_string().split('_') {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            // Keeps `v1_2` and `v12` apart.
            if first.is_ascii_digit() && text.ends_with(|letter: char| letter.is_ascii_digit()) {
                text.push('_');
            }
            text.extend(first.to_uppercase());
            text.push_str(letters.as_str());
        }
    }
    if text == "Self" || !text.starts_with(|letter: char| letter.is_alphabetic()) {
        text.insert(0, '_');
    }
    format_ident!("{text}", span = name.span())
}

fn error(place: impl ToTokens, text: impl std::fmt::Display) -> syn::Error {
    syn::Error::new_spanned(place, text)
}
