//! Streams as trees.

mod streams;

use spark_rpc_javaobj::{Graph, Limits};

fn tree(file: &str, name: &str) -> String {
    let graph = Graph::read(&streams::one(file, name), &Limits::default()).unwrap();
    graph.to_string()
}

#[test]
fn an_object_is_printed_with_its_fields_and_what_lies_in_them() {
    assert_eq!(
        tree("samples-3.5.9", "ref"),
        r#"org.apache.spark.rpc.netty.NettyRpcEndpointRef {
  defaultAskTimeout: org.apache.spark.rpc.RpcTimeout {
    duration: scala.concurrent.duration.FiniteDuration {
      length: 120
      unit: enum java.util.concurrent.TimeUnit.SECONDS
    }
    timeoutProp: "spark.rpc.askTimeout"
  }
  endpointAddress: org.apache.spark.rpc.RpcEndpointAddress {
    name: "ep"
    rpcAddress: org.apache.spark.rpc.RpcAddress {
      port: 1234
      host: "host1"
    }
    toString: "spark://ep@host1:1234"
  }
}"#
    );
}

#[test]
fn what_a_class_wrote_by_hand_and_what_is_shared_is_marked() {
    assert_eq!(
        tree("samples-4.1.4", "list"),
        r#"scala.collection.generic.DefaultSerializationProxy {
  factory: scala.collection.IterableFactory$ToFactory {
    factory: scala.runtime.ModuleSerializationProxy {
      moduleClass: class scala.collection.immutable.List$
    }
  }
  + 4 bytes ffffffff
  + "a"
  + "b"
  + scala.runtime.ModuleSerializationProxy {
    moduleClass: class scala.collection.generic.SerializeEnd$
  }
}"#
    );
    assert_eq!(
        tree("jdk-17", "cycle"),
        "JdkSamples$Node @1 {
  all: [Ljava.lang.Object; @2 of 2 [
    @1
    @2
  ]
  next: JdkSamples$Node {
    all: null
    next: @1
  }
}"
    );
}

#[test]
fn arrays_blocks_and_the_top_level_take_a_line_each() {
    let text = tree("jdk-17", "arrays");
    for line in [
        "  [Z of 2 [true, false]\n",
        "  [B of 2 [01ff]\n",
        "  [C of 2 ['a', '\\ud83e']\n",
        "  [F of 2 [1.5, NaN]\n",
        "  [Ljava.lang.Object; of 0 []\n",
        "    enum JdkSamples$Colour.RED\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(
        tree("jdk-17", "top-level").lines().next(),
        Some("4 bytes 00000001")
    );
    assert!(tree("jdk-17", "hidden-field").contains("\n  JdkSamples$Below.c: \"the same"));
    assert!(tree("jdk-17", "proxy").starts_with("proxy of java.lang.Runnable, java.lang.Comparable {"));
}

#[test]
fn long_things_are_cut_unless_all_is_wanted() {
    let graph = Graph::read(&streams::one("jdk-17", "long-string"), &Limits::default()).unwrap();
    assert_eq!(
        graph.to_string(),
        format!("\"{}\"… (65536 bytes)", "é".repeat(200))
    );
    assert_eq!(format!("{graph:#}"), format!("\"{}\"", "é".repeat(32768)));
    let blocks = Graph::read(&streams::one("jdk-17", "blocks"), &Limits::default()).unwrap();
    assert!(
        blocks
            .to_string()
            .contains(&format!("+ 255 bytes {}…\n", "00".repeat(32)))
    );
    assert!(format!("{blocks:#}").contains(&format!("+ 255 bytes {}\n", "00".repeat(255))));
}
