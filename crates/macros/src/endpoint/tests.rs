//! The code that is written, as a whole and in its parts.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use super::expand;

/// What is added to `item`, one text per item.
fn added(options: TokenStream, item: &TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(expand(options, item)).unwrap();
    let texts = file.items.iter().map(|item| item.to_token_stream().to_string());
    texts.skip(1).collect()
}

fn texts(code: TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(code).unwrap();
    file.items
        .iter()
        .map(|item| item.to_token_stream().to_string())
        .collect()
}

/// The texts of all errors.
fn errors(options: TokenStream, item: &TokenStream) -> Vec<String> {
    added(options, item)
        .iter()
        .filter_map(|text| text.split_once("compile_error ! {"))
        .map(|(_, text)| text.trim_matches(&[' ', '}', '"'][..]).to_owned())
        .collect()
}

#[test]
fn the_code_is_what_the_documentation_shows() {
    let written = added(
        quote!(),
        &quote! {
            impl Lab {
                async fn double(&mut self, double: Double) -> u64 { double.0 * 2 }
                async fn note(&mut self, note: Note, call: &RpcCallContext) -> std::io::Result<()> { Ok(()) }
            }
        },
    );
    let expected = texts(quote! {
        #[doc = "The messages that `Lab` handles."]
        #[allow(
            clippy::large_enum_variant,
            missing_debug_implementations,
            private_bounds,
            private_interfaces,
            unreachable_pub
        )]
        pub enum LabInbound {
            #[doc = "Handled by `Lab::double`."]
            Double(Double, ::spark_rpc::Reply<u64>),
            #[doc = "Handled by `Lab::note`."]
            Note(Note),
        }

        #[automatically_derived]
        impl ::spark_rpc::Inbound for LabInbound {
            fn accept(
                parcel: &mut ::spark_rpc::Parcel<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, ::spark_rpc::DecodeError> {
                let _ = &parcel;
                if let ::core::option::Option::Some((message, reply)) = parcel.request::<Double>()? {
                    return ::core::result::Result::Ok(
                        ::core::option::Option::Some(Self::Double(message, reply))
                    );
                }
                if let ::core::option::Option::Some(message) = parcel.one_way::<Note>()? {
                    return ::core::result::Result::Ok(::core::option::Option::Some(Self::Note(message)));
                }
                ::core::result::Result::Ok(::core::option::Option::None)
            }

            fn message(&self) -> &'static str {
                match *self {
                    Self::Double(..) => <Double as ::spark_rpc::RpcMessage>::NAME,
                    Self::Note(..) => <Note as ::spark_rpc::RpcMessage>::NAME,
                }
            }

            fn is_control(parcel: &::spark_rpc::Parcel<'_>) -> bool {
                let _ = &parcel;
                if <Double as ::spark_rpc::RpcMessage>::CONTROL && parcel.holds::<Double>() {
                    return true;
                }
                if <Note as ::spark_rpc::RpcMessage>::CONTROL && parcel.holds::<Note>() {
                    return true;
                }
                false
            }
        }

        #[automatically_derived]
        impl ::spark_rpc::RpcEndpoint for Lab {
            type Inbound = LabInbound;

            const CONNECTION_EVENTS: bool = false;

            #[allow(clippy::manual_async_fn)]
            fn handle(
                &mut self,
                message: LabInbound,
                call: &::spark_rpc::RpcCallContext,
            ) -> impl ::core::future::Future<Output = ::core::result::Result<(), ::spark_rpc::BoxError>>
                + ::core::marker::Send
            {
                async move {
                    match message {
                        LabInbound::Double(message, reply) => {
                            let value = Self::double(self, message).await;
                            reply.send(value);
                            ::core::result::Result::Ok(())
                        }
                        LabInbound::Note(message) => {
                            let ended = Self::note(self, message, call).await;
                            ended?;
                            ::core::result::Result::Ok(())
                        }
                    }
                }
            }
        }
    });
    let (check, written): (Vec<_>, Vec<_>) =
        written.into_iter().partition(|text| text.starts_with("const _"));
    assert_eq!(written, expected);
    assert_eq!(check.len(), 1);
}

#[test]
fn a_callback_passes_on_what_it_wants_to_know() {
    let written = added(
        quote!(crate = a::b),
        &quote! {
            impl Lab {
                fn on_disconnected(&self, to: &RpcAddress) {}
                async fn on_error(&mut self, error: EndpointError) {}
            }
        },
    );
    let [_, _, endpoint] = &written[..] else {
        panic!("{written:#?}");
    };
    let callbacks = quote! {
        async fn on_disconnected(
            &mut self,
            address: &a::b::RpcAddress,
            _context: &a::b::EndpointContext
        ) -> ::core::result::Result<(), a::b::BoxError> {
            Self::on_disconnected(self, address);
            ::core::result::Result::Ok(())
        }
        async fn on_error(&mut self, error: a::b::EndpointError, _context: &a::b::EndpointContext) {
            Self::on_error(self, error).await;
        }
    };
    assert!(endpoint.contains(&callbacks.to_string()), "{endpoint}");
    assert!(endpoint.contains("CONNECTION_EVENTS : bool = true"), "{endpoint}");
}

#[test]
fn shared_methods_make_an_endpoint_concurrent_and_a_callback_can_prevent_it() {
    let is_concurrent = |options, item| {
        let written = added(options, &item);
        written
            .iter()
            .any(|text| text.contains("ConcurrentRpcEndpoint for"))
    };
    let shared = quote! {
        impl Lab {
            fn a(&self, a: A) {}
            async fn b(&self, b: B) -> u64 { 1 }
            fn on_start(&self) {}
        }
    };
    assert!(is_concurrent(quote!(), shared.clone()));
    assert!(!is_concurrent(quote!(serial), shared));
    let callback = quote! {
        impl Lab {
            fn a(&self, a: A) {}
            fn on_start(&mut self) {}
        }
    };
    assert!(!is_concurrent(quote!(), callback));
    let callbacks_only = quote!(impl Lab { fn on_start(&self) {} });
    assert!(!is_concurrent(quote!(), callbacks_only.clone()));
    assert!(is_concurrent(quote!(concurrent), callbacks_only));
}

#[test]
fn the_inbound_enum_is_called_and_seen_as_asked() {
    let head = |options| added(options, &quote!(impl a::Lab<u8> { fn a(&self, a: A) {} }))[0].clone();
    assert!(head(quote!()).contains("pub enum LabInbound { "));
    assert!(head(quote!(inbound = Calls)).contains("pub enum Calls { "));
    assert!(head(quote!(inbound = pub(crate) Calls)).contains("pub (crate) enum Calls { "));
}

#[test]
fn conditions_of_the_block_hold_for_everything() {
    let written = added(
        quote!(),
        &quote! {
            #[cfg(unix)]
            impl Lab {
                fn a(&self, a: A) {}
                fn b(&self, b: B) {}
            }
        },
    );
    assert_eq!(written.len(), 4);
    for text in written {
        assert!(text.starts_with("# [cfg (unix)]"), "{text}");
    }
}

#[test]
fn connection_events_depend_on_the_conditions_of_their_callbacks() {
    let events = |callbacks| {
        let written = added(quote!(), &quote!(impl Lab { #callbacks }));
        let (_, value) = written[2].split_once("CONNECTION_EVENTS : bool = ").unwrap();
        value.split(" ;").next().unwrap().to_owned()
    };
    let conditional = quote! {
        #[cfg(unix)] fn on_connected(&mut self) {}
        #[cfg(a)] #[cfg(b)] fn on_disconnected(&mut self) {}
    };
    assert_eq!(
        events(conditional.clone()),
        "cfg ! (all (unix)) || cfg ! (all (a , b))"
    );
    assert_eq!(
        events(quote!(#conditional fn on_network_error(&mut self) {})),
        "true"
    );
    assert_eq!(
        events(quote!(
            fn on_start(&mut self) {}
        )),
        "false"
    );
}

#[test]
fn variants_are_called_like_methods_in_camel_case() {
    let written = added(
        quote!(),
        &quote! {
            impl Lab {
                fn say_hi(&self, a: A) {}
                fn r#match(&self, b: B) {}
                fn v1_2(&self, c: C) {}
                fn v12(&self, d: D) {}
                fn _hidden__name_(&self, e: E) {}
                fn _1(&self, f: F) {}
                fn selfish(&self, g: G) {}
                fn _self(&self, h: H) {}
            }
        },
    );
    for variant in [
        "SayHi (A)",
        "Match (B)",
        "V1_2 (C)",
        "V12 (D)",
        "HiddenName (E)",
        "_1 (F)",
        "Selfish (G)",
        "_Self (H)",
    ] {
        assert!(
            written[0].contains(&format!("] {variant} ,")),
            "{variant}: {}",
            written[0]
        );
    }
    let twice = quote! {
        impl Lab {
            fn say_hi(&self, a: A) {}
            fn say__hi(&self, b: B) {}
        }
    };
    assert_eq!(
        errors(quote!(), &twice),
        ["`say_hi` has the same variant `SayHi`"]
    );
}

#[test]
fn what_has_no_self_is_left_alone_and_what_is_skipped_too() {
    let block = quote! {
        impl Lab {
            const LIMIT: usize = 1;
            fn new() -> Self { Lab }
            #[rpc(skip)]
            async fn connect(address: String) -> Self { Lab }
            /// Counts.
            #[rpc(skip)]
            fn on_start(&self, many: u64, parameters: u64) -> u64 { 1 }
            #[doc(alias = "x")]
            fn a(&self, a: A) {}
        }
    };
    let code = expand(quote!(), &block).to_string();
    assert!(!code.contains("rpc (skip)"), "{code}");
    assert!(code.contains("# [doc = r\" Counts.\"] fn on_start"), "{code}");
    assert!(code.contains("# [doc (alias = \"x\")]"), "{code}");
    assert_eq!(errors(quote!(), &block), [""; 0]);
}

#[test]
fn a_block_with_errors_stays() {
    let block = quote!(impl Lab { fn a(&self) {} });
    let code = expand(quote!(), &block).to_string();
    assert!(code.starts_with("impl Lab"), "{code}");
    assert!(code.contains("compile_error"), "{code}");
}

#[test]
fn one_raw_handler_is_enough_and_it_says_its_reply_itself() {
    let block = quote! {
        impl Lab {
            #[rpc(raw)] fn a(&self, raw: Raw) {}
            #[rpc(raw)] fn b(&self, raw: Raw) {}
            #[rpc(raw)] fn c(&self, raw: Raw) -> u64 { 1 }
            #[rpc(raw)] fn d(&self, raw: Raw, reply: Reply<u64>) {}
        }
    };
    assert_eq!(
        errors(quote!(), &block),
        [
            "the handler of raw messages returns nothing, or a `Result<(), E>`",
            "the reply to a raw message is in its handle: `Raw::reply`",
            "`a` takes raw messages already",
        ]
    );
}
