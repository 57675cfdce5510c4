//! The code for a [`Block`].

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ItemImpl};

use super::Block;
use super::callback::Callback;
use super::generics;
use super::handler::{Answer, Extra, Handler, Outcome};
use super::options::Delivery;
use super::signature::Method;

/// Writes the enum of the messages and the impls of `Inbound` and of the endpoint's trait.
pub(super) fn write(block: &Block, item: &ItemImpl) -> TokenStream {
    let types = block
        .typed()
        .flat_map(|handler| std::iter::once(&handler.message).chain(&handler.reply));
    let inbound_generics = generics::used(&item.generics, types);
    let enumeration = write_enum(block, &inbound_generics);
    let names = write_name_check(block, &inbound_generics);
    let inbound = write_inbound(block, &inbound_generics);
    let endpoint = write_endpoint(block, item, &inbound_generics);
    quote!(#enumeration #names #inbound #endpoint)
}

fn write_enum(block: &Block, generics: &syn::Generics) -> TokenStream {
    let Block {
        krate,
        conditions,
        inbound,
        visibility,
        type_name,
        ..
    } = block;
    let variants = block.handlers.iter().map(|handler| {
        let Handler {
            method,
            variant,
            message,
            ..
        } = handler;
        let doc = format!("Handled by `{type_name}::{}`.", method.name);
        let conditions = &method.conditions;
        let fields = if handler.is_raw() {
            quote!(#krate::Raw)
        } else if let Some(reply) = &handler.reply {
            let reply = if generics::mentions_self(reply) {
                quote!(<#message as #krate::Request>::Reply)
            } else {
                reply.to_token_stream()
            };
            quote!(#message, #krate::Reply<#reply>)
        } else {
            quote!(#message)
        };
        quote! {
            #(#conditions)*
            #[doc = #doc]
            #variant(#fields)
        }
    });
    let doc = format!("The messages that `{type_name}` handles.");
    let bounds = &generics.where_clause;
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #[allow(
            clippy::large_enum_variant,
            missing_debug_implementations,
            private_bounds,
            private_interfaces,
            unreachable_pub
        )]
        #visibility enum #inbound #generics #bounds {
            #(#variants,)*
        }
    }
}

fn write_inbound(block: &Block, generics: &syn::Generics) -> TokenStream {
    let Block {
        krate,
        conditions,
        inbound,
        ..
    } = block;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let parcel = local("parcel");
    let (message, reply) = (local("message"), local("reply"));
    // The handler that takes everything is asked last.
    let in_order = block
        .typed()
        .chain(block.handlers.iter().filter(|handler| handler.is_raw()));
    let accept = in_order.map(|handler| {
        let Handler {
            method,
            variant,
            message: ty,
            ..
        } = handler;
        let conditions = &method.conditions;
        let at = place(ty);
        let (pattern, take) = if handler.is_raw() {
            (quote!(#message), quote!(#parcel.raw()))
        } else if handler.is_request() {
            (
                quote!((#message, #reply)),
                quote_spanned!(at=> #parcel.request::<#ty>()),
            )
        } else {
            (quote!(#message), quote_spanned!(at=> #parcel.one_way::<#ty>()))
        };
        let fields = match &handler.reply {
            Some(ty) => {
                // The compiler points here if the message has another reply.
                let reply = Ident::new("reply", place(ty));
                quote!(#message, #reply)
            }
            None => quote!(#message),
        };
        quote! {
            #(#conditions)*
            if let ::core::option::Option::Some(#pattern) = #take? {
                return ::core::result::Result::Ok(::core::option::Option::Some(Self::#variant(#fields)));
            }
        }
    });
    let names = block.handlers.iter().map(|handler| {
        let Handler {
            method,
            variant,
            message,
            ..
        } = handler;
        let conditions = &method.conditions;
        let name = if handler.is_raw() {
            quote!("raw")
        } else {
            name_of(krate, message)
        };
        quote!(#(#conditions)* Self::#variant(..) => #name)
    });
    let control = block.typed().map(|handler| {
        let ty = &handler.message;
        let conditions = &handler.method.conditions;
        let at = place(ty);
        quote_spanned! {at=>
            #(#conditions)*
            if <#ty as #krate::RpcMessage>::CONTROL && #parcel.holds::<#ty>() {
                return true;
            }
        }
    });
    quote! {
        #(#conditions)*
        #[automatically_derived]
        impl #parameters #krate::Inbound for #inbound #arguments #bounds {
            fn accept(
                #parcel: &mut #krate::Parcel<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, #krate::DecodeError> {
                let _ = &#parcel;
                #(#accept)*
                ::core::result::Result::Ok(::core::option::Option::None)
            }

            fn message(&self) -> &'static str {
                match *self {
                    #(#names,)*
                }
            }

            fn is_control(#parcel: &#krate::Parcel<'_>) -> bool {
                let _ = &#parcel;
                #(#control)*
                false
            }
        }
    }
}

/// Two messages of one name could not be told apart on the wire; this makes them an error at build time.
fn write_name_check(block: &Block, generics: &syn::Generics) -> TokenStream {
    if block.typed().count() < 2 || !generics.params.is_empty() {
        return TokenStream::new();
    }
    let Block {
        krate, conditions, ..
    } = block;
    let names = block.typed().map(|handler| {
        let conditions = &handler.method.conditions;
        let name = name_of(krate, &handler.message);
        quote!(#(#conditions)* #name)
    });
    // The last one first: what was there before is in the right.
    let handlers: Vec<_> = block.typed().collect();
    let checks = handlers.iter().rev().map(|handler| {
        let conditions = &handler.method.conditions;
        let name = name_of(krate, &handler.message);
        let text = format!(
            "another message of `{}` has the same name on the wire; give one of them `#[rpc(name = \"...\")]`",
            block.type_name
        );
        let at = place(&handler.message);
        quote_spanned!(at=> #(#conditions)* assert!(count(#name) == 1, #text);)
    });
    quote! {
        #(#conditions)*
        const _: () = {
            const NAMES: &[&str] = &[#(#names),*];

            const fn count(name: &str) -> usize {
                let (mut at, mut found) = (0, 0);
                while at < NAMES.len() {
                    if equal(NAMES[at].as_bytes(), name.as_bytes()) {
                        found += 1;
                    }
                    at += 1;
                }
                found
            }

            const fn equal(one: &[u8], other: &[u8]) -> bool {
                let mut at = 0;
                while at < one.len() && at < other.len() && one[at] == other[at] {
                    at += 1;
                }
                at == one.len() && at == other.len()
            }

            #(#checks)*
        };
    }
}

fn write_endpoint(block: &Block, item: &ItemImpl, inbound_generics: &syn::Generics) -> TokenStream {
    let Block {
        krate,
        conditions,
        inbound,
        ..
    } = block;
    let (parameters, _, bounds) = item.generics.split_for_impl();
    let (_, inbound_arguments, _) = inbound_generics.split_for_impl();
    let endpoint = &item.self_ty;
    let (contract, receiver) = match block.delivery {
        Delivery::Serial => (quote!(RpcEndpoint), quote!(&mut self)),
        Delivery::Concurrent => (quote!(ConcurrentRpcEndpoint), quote!(&self)),
    };
    let events = write_events(block);
    let message = local("message");
    let uses_call = block
        .handlers
        .iter()
        .flat_map(|handler| &handler.extras)
        .any(|extra| matches!(extra, Extra::Call(_)));
    let call = local(if uses_call { "call" } else { "_call" });
    let arms = block.handlers.iter().map(|handler| write_arm(block, handler));
    let callbacks = block
        .callbacks
        .iter()
        .map(|callback| write_callback(block, callback, &receiver));
    quote! {
        #(#conditions)*
        #[automatically_derived]
        impl #parameters #krate::#contract for #endpoint #bounds {
            type Inbound = #inbound #inbound_arguments;

            const CONNECTION_EVENTS: bool = #events;

            // An `async fn` would keep the message twice, as its argument and as the variable that is matched.
            #[allow(clippy::manual_async_fn)]
            fn handle(
                #receiver,
                #message: #inbound #inbound_arguments,
                #call: &#krate::RpcCallContext,
            ) -> impl ::core::future::Future<Output = ::core::result::Result<(), #krate::BoxError>>
                + ::core::marker::Send
            {
                async move {
                    match #message {
                        #(#arms)*
                    }
                }
            }

            #(#callbacks)*
        }
    }
}

/// One arm of `handle`.
fn write_arm(block: &Block, handler: &Handler) -> TokenStream {
    let Handler { method, variant, .. } = handler;
    let inbound = &block.inbound;
    let conditions = &method.conditions;
    let (message, reply) = (local("message"), local("reply"));
    let extras = handler.extras.iter().map(|extra| match extra {
        Extra::Call(ty) => Ident::new("call", place(ty)),
        Extra::Reply(ty) => Ident::new("reply", place(ty)),
    });
    let result = call(method, &quote!(#message #(, #extras)*));
    let pattern = if handler.is_request() {
        quote!(#message, #reply)
    } else {
        quote!(#message)
    };
    let returns = hygienic(method.returns);
    let value = Ident::new("value", returns);
    let body = match handler.answer {
        Answer::OneWay(outcome) | Answer::Later(outcome) | Answer::Raw(outcome) => {
            end(outcome, &result, returns)
        }
        Answer::Value => quote_spanned! {returns=>
            let #value = #result;
            #reply.send(#value);
        },
        Answer::Fallible => quote_spanned! {returns=>
            let #value = #result;
            #reply.complete(#value);
        },
    };
    quote! {
        #(#conditions)*
        #inbound::#variant(#pattern) => {
            #body
            ::core::result::Result::Ok(())
        }
    }
}

fn write_callback(block: &Block, callback: &Callback, receiver: &TokenStream) -> TokenStream {
    let Callback {
        kind,
        method,
        parameters: given,
        outcome,
    } = callback;
    let krate = &block.krate;
    let conditions = &method.conditions;
    let name = &method.name;
    let known = kind.parameters().iter().enumerate().map(|(at, parameter)| {
        let ty = parameter.ty();
        let ty = if parameter.borrowed {
            quote!(&#krate::#ty)
        } else {
            quote!(#krate::#ty)
        };
        let name = match given.get(at) {
            Some(_) => local(parameter.name),
            None => local(&format!("_{}", parameter.name)),
        };
        quote!(#name: #ty)
    });
    let passed = kind
        .parameters()
        .iter()
        .zip(given)
        .map(|(parameter, at)| Ident::new(parameter.name, hygienic(*at)));
    let result = call(method, &quote!(#(#passed),*));
    let body = end(*outcome, &result, hygienic(method.returns));
    let (output, last) = if *kind == super::callback::CallbackKind::Error {
        (TokenStream::new(), TokenStream::new())
    } else {
        (
            quote!(-> ::core::result::Result<(), #krate::BoxError>),
            quote!(::core::result::Result::Ok(())),
        )
    };
    quote! {
        #(#conditions)*
        async fn #name(#receiver, #(#known),*) #output {
            #body
            #last
        }
    }
}

/// The call of a user's method, awaited if it is async.
fn call(method: &Method, arguments: &TokenStream) -> TokenStream {
    let name = &method.name;
    let wait = method.is_async.then(|| quote!(.await));
    quote!(Self::#name(self, #arguments) #wait)
}

fn end(outcome: Outcome, result: &TokenStream, at: Span) -> TokenStream {
    match outcome {
        Outcome::Nothing => quote!(#result;),
        Outcome::Result => {
            let ended = Ident::new("ended", at);
            quote_spanned! {at=>
                let #ended = #result;
                #ended?;
            }
        }
    }
}

/// Whether connection events are wanted, which may depend on conditions.
fn write_events(block: &Block) -> TokenStream {
    let mut wanted = Vec::new();
    for callback in &block.callbacks {
        if callback.kind.is_connection_event() {
            let conditions = &callback.method.conditions;
            if conditions.is_empty() {
                return quote!(true);
            }
            let predicates = conditions.iter().map(predicate);
            wanted.push(quote!(cfg!(all(#(#predicates),*))));
        }
    }
    if wanted.is_empty() {
        quote!(false)
    } else {
        quote!(#(#wanted)||*)
    }
}

/// What stands in `#[cfg(...)]`.
fn predicate(condition: &Attribute) -> TokenStream {
    match condition.meta.require_list() {
        Ok(list) => list.tokens.clone(),
        // The compiler reports it where it stands.
        Err(_) => quote!(all()),
    }
}

fn name_of(krate: &TokenStream, message: &syn::Type) -> TokenStream {
    let at = place(message);
    quote_spanned!(at=> <#message as #krate::RpcMessage>::NAME)
}

/// A variable that no user's name can meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Where the compiler shall point at when something is wrong with generated code for `tokens`.
fn place(tokens: &impl Spanned) -> Span {
    hygienic(tokens.span())
}

fn hygienic(at: Span) -> Span {
    Span::mixed_site().located_at(at)
}

impl Block {
    /// The handlers of messages that have a type.
    fn typed(&self) -> impl Iterator<Item = &Handler> {
        self.handlers.iter().filter(|handler| !handler.is_raw())
    }
}
