//! The methods that an endpoint's life and its connections call, known by their names.

use proc_macro2::Span;
use quote::format_ident;
use syn::spanned::Spanned;
use syn::{Ident, ImplItemFn};

use super::handler::{Outcome, outcome};
use super::options::MethodOptions;
use super::signature::{Method, Returns, parameters};
use crate::keys::Errors;

/// A method of an endpoint's life.
pub(super) struct Callback {
    pub(super) kind: CallbackKind,
    pub(super) method: Method,
    /// Where the types of the parameters stand. The last ones may have been left out.
    pub(super) parameters: Vec<Span>,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallbackKind {
    Start,
    Stop,
    Error,
    Connected,
    Disconnected,
    NetworkError,
}

impl CallbackKind {
    const ALL: [Self; 6] = [
        Self::Start,
        Self::Stop,
        Self::Error,
        Self::Connected,
        Self::Disconnected,
        Self::NetworkError,
    ];

    pub(super) fn named(name: &Ident) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name == kind.name())
    }

    /// All names, for an error.
    pub(super) fn names() -> String {
        Self::ALL.map(|kind| format!("`{}`", kind.name())).join(", ")
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Start => "on_start",
            Self::Stop => "on_stop",
            Self::Error => "on_error",
            Self::Connected => "on_connected",
            Self::Disconnected => "on_disconnected",
            Self::NetworkError => "on_network_error",
        }
    }

    /// The parameters of the trait's method: names and types, these in the rpc crate.
    pub(super) fn parameters(self) -> &'static [Parameter] {
        const CONTEXT: Parameter = Parameter::borrowed("context", "EndpointContext");
        const ADDRESS: Parameter = Parameter::borrowed("address", "RpcAddress");
        const CAUSE: Parameter = Parameter::borrowed("cause", "ConnectionError");
        const ERROR: Parameter = Parameter {
            name: "error",
            ty: "EndpointError",
            borrowed: false,
        };
        match self {
            Self::Start | Self::Stop => &[CONTEXT],
            Self::Error => &[ERROR, CONTEXT],
            Self::Connected | Self::Disconnected => &[ADDRESS, CONTEXT],
            Self::NetworkError => &[CAUSE, ADDRESS, CONTEXT],
        }
    }

    /// Whether it tells of connections.
    pub(super) fn is_connection_event(self) -> bool {
        matches!(self, Self::Connected | Self::Disconnected | Self::NetworkError)
    }
}

/// A parameter of a callback as the traits declare it.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    ty: &'static str,
    pub(super) borrowed: bool,
}

impl Parameter {
    const fn borrowed(name: &'static str, ty: &'static str) -> Self {
        Self {
            name,
            ty,
            borrowed: true,
        }
    }

    pub(super) fn ty(&self) -> Ident {
        format_ident!("{}", self.ty)
    }
}

impl Callback {
    pub(super) fn read(
        kind: CallbackKind,
        method: &ImplItemFn,
        options: &MethodOptions,
        errors: &mut Errors,
    ) -> Option<Self> {
        let what = format!("`{}`", kind.name());
        options.refuse_on("a callback", errors);
        let known = kind.parameters();
        let given: Vec<_> = parameters(&method.sig).collect();
        for surplus in given.iter().skip(known.len()) {
            let all: Vec<_> = known.iter().map(Parameter::text).collect();
            errors.add(
                surplus,
                format!("{what} takes `{}`; the last ones may be left out", all.join(", ")),
            );
        }
        let returns = Returns::read(&method.sig.output);
        let ended = errors.take(outcome(&returns, &what))?;
        let read = Method::read(method, &what, errors);
        if kind == CallbackKind::Error && ended == Outcome::Result {
            errors.add(
                &method.sig.output,
                "`on_error` returns nothing: there is nobody left to tell",
            );
        }
        Some(Self {
            kind,
            method: read,
            parameters: given.iter().map(|parameter| parameter.ty.span()).collect(),
            outcome: ended,
        })
    }
}

impl Parameter {
    fn text(&self) -> String {
        let reference = if self.borrowed { "&" } else { "" };
        format!("{}: {reference}{}", self.name, self.ty)
    }
}
