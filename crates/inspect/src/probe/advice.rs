//! What follows from what was found, in plain words.

use spark_rpc_auth::engine::{EngineVersion, SessionCipher};
use spark_rpc_wire::ForeignProtocol;

use super::findings::{Findings, Listening, Peer, Proof, Refused, Trust};

/// What follows from what was found: sentences for people, the most important first.
pub fn advice(found: &Findings) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    let mut say = |text: &str| advice.push(text.to_owned());
    match &found.listening {
        Listening::Spark => {}
        Listening::Transport { .. } => say(
            "It speaks in Spark's frames, but is no RPC endpoint's env. External shuffle services and block managers do \
             that; the RPC port of the same process is another one.",
        ),
        Listening::Tls if matches!(found.tls.as_ref().map(|tls| &tls.trust), Some(Trust::Refused(_))) => say(
            "The certificate is not one that you trust, so nothing was asked inside of TLS. Is --tls-ca the right file, \
             and the host the one in the certificate?",
        ),
        Listening::Tls => say(
            "It speaks TLS, and nothing of Spark was found inside. It may want a certificate of yours: --tls-cert and \
             --tls-key.",
        ),
        Listening::Other(ForeignProtocol::Http1 | ForeignProtocol::Http2) => say(
            "This is a web server. Spark's RPC is on another port: a standalone Master's is 7077 where its web pages are \
             on 8080; a driver's is spark.driver.port where its pages are on 4040.",
        ),
        Listening::Other(_) | Listening::Unknown { .. } => {
            say("This is no port of Spark's RPC. Is the number right?");
        }
        Listening::Closes => say(
            "It takes connections and hangs up at the first words. A proxy without a target does that, and so does a \
             server that only certain addresses may use.",
        ),
        Listening::Silent => say(
            "It takes connections and says nothing. A process that hangs or is stopped does that, and so does a proxy \
             whose target is gone.",
        ),
    }
    security(found, &mut advice);
    let mut say = |text: &str| advice.push(text.to_owned());
    if let Some(Peer::Jvm { versions, .. }) = &found.peer {
        if versions.is_empty() {
            say(
                "Its class ids are of no version that is known here. Asks work nevertheless, since ids are learnt from \
                 its refusals; one-way messages may be lost until then.",
            );
        }
        let old = !versions.is_empty() && versions.iter().all(|version| version.starts_with("3."));
        if old && found.authentication.wanted == Some(true) {
            say(
                "Spark 3 hands out files, streams and chunks to strangers, too, who have not authenticated. Let only \
                 trusted machines reach the port.",
            );
        }
    }
    if !found.endpoints.is_empty() && found.endpoints.iter().all(|endpoint| !endpoint.exists) {
        say("None of the well-known endpoints is here: an env of an application's own.");
    }
    advice
}

fn security(found: &Findings, advice: &mut Vec<String>) {
    let mut say = |text: &str| advice.push(text.to_owned());
    let authentication = &found.authentication;
    let open = authentication.wanted == Some(false);
    match &authentication.refused {
        Some(Refused::Secret { .. }) => {
            say("The secret was refused: both sides need the same, and the same user.");
        }
        Some(Refused::NothingFits) => say(
            "The secret is right, but no version and cipher of the auth engine was understood. Neither is announced: \
             both sides must be told the same (--auth).",
        ),
        Some(Refused::NotShown) => say(
            "Only SASL is accepted, from which secrets can be guessed, so yours was not used. With --auth sasl-encryption or \
             --auth sasl it is.",
        ),
        None => {}
    }
    if open && found.tls.is_none() {
        say(match found.peer {
            Some(Peer::Rust) => {
                "Nobody has to authenticate: whoever reaches this port may use every endpoint. Give the server a secret \
                 or TLS."
            }
            _ => {
                "Nobody has to authenticate: whoever reaches this port can run code in that process. Set \
                 spark.authenticate = true and a secret on all sides, or let only trusted machines reach the port."
            }
        });
    } else if open {
        say(
            "TLS encrypts, but nobody has to authenticate. Set spark.authenticate = true and a secret on all sides.",
        );
    }
    if open && authentication.secret_given {
        say("The given secret is not asked for, and a peer that insists on it will not get through.");
    }
    if let Some(qop) = authentication.sasl() {
        if authentication.engine() {
            say(
                "Beside the auth engine it accepts SASL DIGEST-MD5, to which somebody in between can push both sides. Set \
                 spark.network.crypto.saslFallback = false where all peers have the engine.",
            );
        } else {
            say(
                "It accepts SASL DIGEST-MD5 only, which is weak. Set spark.network.crypto.enabled = true on all sides for \
                 the auth engine.",
            );
        }
        if qop.split(',').any(|offer| offer.trim() == "auth") && found.tls.is_none() {
            say(
                "With SASL a connection may go on in the clear. Set spark.network.sasl.serverAlwaysEncrypt = true if SASL \
                 has to stay.",
            );
        }
    }
    if let Some(Proof::Engine(engine)) = authentication.proof {
        if engine.version == EngineVersion::V1 {
            say(
                "It uses version 1 of the auth engine, which takes its key unprocessed. Set \
                 spark.network.crypto.authEngineVersion = 2 on all sides.",
            );
        }
        if engine.cipher == SessionCipher::AesCtr && found.tls.is_none() {
            say(
                "AES-CTR hides bytes, but somebody in between can change them unnoticed. Set spark.network.crypto.cipher \
                 = AES/GCM/NoPadding on all sides.",
            );
        }
    }
    if authentication.wanted == Some(true) && !authentication.secret_given {
        say("With --secret-file this command looks inside: version, endpoints, round trips.");
    }
    if matches!(found.tls.as_ref().map(|tls| &tls.trust), Some(Trust::NotAsked)) {
        say("The certificate was looked at, but not checked. With --tls-ca it is.");
    }
}
