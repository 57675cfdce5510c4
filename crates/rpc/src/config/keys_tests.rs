//! Tests of `keys.rs`: the table is complete, and the documentation says what it says.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::*;
use crate::config::{EnvAddresses, RpcConf, SparkConf};

const DOCUMENTATION: &str = include_str!("../../../../docs/configuration.md");

/// A value that is not the default, for each form of values.
fn sample(key: &KeyInfo) -> &'static str {
    match (key.name, key.takes) {
        ("spark.rpc.inbox.whenFull", _) => "reject",
        ("spark.driver.port", _) => "7078",
        ("spark.executor.id", _) => "driver",
        // Alone these ask for what is not there.
        (
            "spark.authenticate"
            | "spark.network.crypto.enabled"
            | "spark.authenticate.enableSaslEncryption"
            | "spark.rpc.security.clientCertificates",
            _,
        ) => "false",
        ("spark.network.crypto.authEngineVersion", _) => "1",
        ("spark.network.crypto.cipher", _) => "AES/CTR/NoPadding",
        ("spark.rpc.security.defaults", _) => "spark",
        (_, TIME_S | TIME_MS | TIME_US) => "7",
        (_, SIZE | SIZE_MIB) => "1025",
        (_, NUMBER) => "7",
        (_, SWITCH) if key.default == "true" => "false",
        (_, SWITCH) => "true",
        (_, TEXT) => "some-text",
        (name, takes) => panic!("{name} takes {takes}, for which there is no sample"),
    }
}

#[test]
fn no_key_is_listed_twice() {
    let names: BTreeSet<_> = known_keys().iter().map(|key| key.name).collect();
    assert_eq!(names.len(), known_keys().len());
}

#[test]
fn every_key_with_a_field_changes_a_setting_when_it_is_set() {
    // The role chooses between two of the keys, so each of these counts only beside the others.
    let roles = SparkConf::from_pairs([
        ("spark.executor.id", "1"),
        ("spark.driver.rpc.netty.dispatcher.numThreads", "3"),
        ("spark.executor.rpc.netty.dispatcher.numThreads", "4"),
    ]);
    for key in known_keys()
        .iter()
        .filter(|key| matches!(key.effect, Effect::Field(_)))
    {
        let plain = if roles.contains(key.name) {
            roles.clone()
        } else {
            SparkConf::new()
        };
        let mut with = plain.clone();
        with.set(key.name, sample(key));
        if key.name.starts_with("spark.driver.") {
            with.set("spark.executor.id", "driver");
        }
        let [plain, with] = [plain, with].map(|spark| RpcConf::from_spark(&spark).unwrap());
        assert_eq!(with.ignored(), [], "{}", key.name);
        assert_ne!(
            RpcConf {
                notes: plain.notes.clone(),
                ..with
            },
            plain,
            "{} changes nothing",
            key.name
        );
    }
}

#[test]
fn every_key_of_an_address_changes_an_address() {
    for key in known_keys()
        .iter()
        .filter(|key| matches!(key.effect, Effect::Address(_)))
    {
        let spark = SparkConf::from_pairs([(key.name, sample(key))]);
        let addresses = EnvAddresses::driver_from_spark(&spark).unwrap();
        assert_ne!(addresses, EnvAddresses::default(), "{} changes nothing", key.name);
    }
}

#[test]
fn every_key_without_effect_is_accepted_and_told_with_its_reason() {
    for key in known_keys().iter().filter(|key| key.effect == Effect::Ignored) {
        let conf = RpcConf::from_spark(&SparkConf::from_pairs([(key.name, "AUTO")])).unwrap();
        let told: Vec<_> = conf
            .ignored()
            .iter()
            .map(|ignored| (ignored.key, ignored.reason))
            .collect();
        assert_eq!(told, [(key.name, key.meaning)]);
        assert!(!key.meaning.is_empty());
    }
}

#[test]
fn no_known_key_is_taken_for_a_mistake() {
    for key in known_keys() {
        let value = if key.effect == Effect::Ignored {
            "AUTO"
        } else {
            sample(key)
        };
        let conf = RpcConf::from_spark(&SparkConf::from_pairs([(key.name, value)])).unwrap();
        let warned = conf
            .warnings()
            .iter()
            .any(|w| matches!(w, crate::config::ConfWarning::UnknownKey { .. }));
        assert!(!warned, "{}", key.name);
    }
}

#[test]
fn the_documentation_lists_every_key_as_it_is() {
    let rows: String = known_keys().iter().map(row).collect();
    let documented: String = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `spark."))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        rows == documented,
        "the rows of docs/configuration.md should be:\n{rows}"
    );
}

/// The row of a key in the documentation.
fn row(key: &KeyInfo) -> String {
    let KeyInfo {
        name,
        takes,
        default,
        meaning,
        ..
    } = key;
    let owner = match key.owner {
        Owner::Spark => "Spark",
        Owner::Own => "own",
    };
    let mut row = String::new();
    match key.effect {
        Effect::Field(field) => {
            writeln!(
                row,
                "| `{name}` | {takes} | {default} | {owner} | `{field}` | {meaning} |"
            )
        }
        Effect::Address(field) => writeln!(row, "| `{name}` | {takes} | {default} | `{field}` | {meaning} |"),
        Effect::Ignored => writeln!(row, "| `{name}` | {meaning} |"),
        Effect::Security => writeln!(row, "| `{name}` | {takes} | {default} | {owner} | {meaning} |"),
    }
    .expect("a string takes everything");
    row
}
