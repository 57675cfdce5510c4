//! Tests of `spark_conf.rs`, in a file of their own for its length.

use super::*;

fn conf(pairs: &[(&str, &str)]) -> SparkConf {
    SparkConf::from_pairs(pairs.iter().copied())
}

#[test]
fn a_setting_reads_as_it_was_last_set() {
    let mut conf = conf(&[("b", "1"), ("a", "2"), ("b", "3")]);
    assert_eq!(conf.get("b"), Some("3"));
    assert_eq!(conf.get("c"), None);
    conf.set("c", "4").set("a", "5");
    assert_eq!(conf.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(conf.get("a"), Some("5"));
}

#[test]
fn what_is_not_set_reads_as_none() {
    let conf = SparkConf::new();
    assert_eq!(conf.time("x", TimeUnit::Seconds).unwrap(), None);
    assert_eq!(conf.size("x", SizeUnit::Bytes).unwrap(), None);
    assert_eq!(conf.boolean("x").unwrap(), None);
    assert_eq!(conf.integer::<i64>("x").unwrap(), None);
}

#[test]
fn booleans_are_true_and_false_in_letters_of_either_case_and_nothing_else() {
    let conf = conf(&[
        ("t", "True"),
        ("f", " FALSE "),
        ("yes", "yes"),
        ("one", "1"),
        ("empty", ""),
    ]);
    assert_eq!(conf.boolean("t").unwrap(), Some(true));
    assert_eq!(conf.boolean("f").unwrap(), Some(false));
    for key in ["yes", "one", "empty"] {
        assert!(
            matches!(conf.boolean(key), Err(ConfError::Unreadable { .. })),
            "{key}"
        );
    }
}

#[test]
fn integers_have_no_fraction_and_fit_their_type() {
    let conf = conf(&[
        ("n", " -7 "),
        ("fraction", "1.0"),
        ("big", "4294967296"),
        ("huge", "9223372036854775808"),
    ]);
    assert_eq!(conf.integer::<i32>("n").unwrap(), Some(-7));
    assert_eq!(conf.integer::<u64>("big").unwrap(), Some(1 << 32));
    assert!(conf.integer::<u32>("n").is_err());
    assert!(conf.integer::<u32>("big").is_err());
    assert!(conf.integer::<i64>("fraction").is_err());
    assert!(conf.integer::<i64>("huge").is_err());
}

#[test]
fn an_error_names_key_value_and_what_was_expected() {
    let text = conf(&[("spark.rpc.askTimeout", "1.5s")])
        .time("spark.rpc.askTimeout", TimeUnit::Seconds)
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "spark.rpc.askTimeout is \"1.5s\", expected a time like 10us, 50ms, 3s, 2min, 1h or 5d \
         (a bare number means seconds)"
    );
}

#[test]
fn a_negative_time_is_refused() {
    assert!(conf(&[("t", "-1s")]).time("t", TimeUnit::Seconds).is_err());
}

#[test]
fn an_error_names_file_and_line_if_the_setting_came_from_a_file() {
    let name = format!("spark-rpc-conf-{}.properties", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, "\u{feff}# first\nspark.a 1\n\nspark.b \\\n  maybe\n").unwrap();
    let conf = SparkConf::from_properties_file(&path);
    fs::remove_file(&path).unwrap();

    let conf = conf.unwrap();
    assert_eq!(conf.get("spark.a"), Some("1"));
    let error = conf.boolean("spark.b").unwrap_err();
    let expected = format!(
        "spark.b is \"maybe\", expected true or false ({}:4)",
        path.display()
    );
    assert_eq!(error.to_string(), expected);

    assert!(
        matches!(
            SparkConf::from_properties_file(&path),
            Err(ConfError::File { .. })
        ),
        "it is removed"
    );
}

#[test]
fn text_without_a_file_is_named_by_its_line() {
    let conf = SparkConf::from_properties_str("a=1\nb=x").unwrap();
    assert!(
        conf.integer::<u8>("b")
            .unwrap_err()
            .to_string()
            .ends_with(" (line 2)")
    );
    assert_eq!(conf.origin("a").map(Origin::line), Some(1));
    assert_eq!(conf.origin("c"), None);
}

#[test]
fn setting_a_value_anew_forgets_the_file_it_came_from() {
    let mut conf = SparkConf::from_properties_str("a=1").unwrap();
    conf.set("a", "x");
    assert_eq!(
        conf.integer::<u8>("a").unwrap_err().to_string(),
        "a is \"x\", expected a whole number, 0 or more"
    );
}

#[test]
fn printing_shows_no_secrets() {
    let keys = [
        "spark.authenticate.secret",
        "spark.ssl.rpc.keyPassword",
        "spark.hadoop.Token.x",
        "spark.hadoop.fs.s3a.access.key",
    ];
    let mut conf = SparkConf::from_pairs(keys.map(|key| (key, "hush")));
    conf.set("spark.app.name", "shown");
    for printed in [format!("{conf:?}"), format!("{conf:#?}"), conf.to_string()] {
        assert!(!printed.contains("hush"), "{printed}");
        assert!(printed.contains("shown"), "{printed}");
        assert_eq!(printed.matches(REDACTED).count(), keys.len(), "{printed}");
    }
}

#[test]
fn an_error_about_a_secret_does_not_show_it() {
    let conf = conf(&[("spark.my.password", "hush")]);
    let error = conf.boolean("spark.my.password").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}
