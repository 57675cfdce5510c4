//! What is known of one peer's classes.

use std::collections::HashMap;

use super::profile::{ClassInfo, FieldInfo, Profile, Scala};
use super::refusal::Refusal;
use crate::class::{ClassDesc, ClassKind};
use crate::graph::Graph;

/// What one peer's classes look like: begins with a version of Spark, learns from what the peer sends and refuses.
///
/// Keep one for each peer, [`observe`](Self::observe) each stream that comes from it, and write to it with the table: then
/// it is answered in kind, also by a version that no data file describes. A peer that refuses a class says which id it
/// would accept: [`learn`](Self::learn) that and send the message again.
///
/// # Examples
///
/// ```
/// use spark_rpc_javaobj::{ClassTable, Profile, Refusal};
///
/// let mut table = ClassTable::new(Profile::of("4.1.4").unwrap());
/// assert_eq!(table.class("org.apache.spark.rpc.RpcAddress").unwrap().uid, 3128407972965539268);
///
/// let text = "java.io.InvalidClassException: org.apache.spark.rpc.RpcAddress; local class incompatible: \
///             stream classdesc serialVersionUID = 3128407972965539268, local class serialVersionUID = 42";
/// assert!(table.learn(&Refusal::find(text).unwrap()), "this is new, so it is worth another try");
/// assert_eq!(table.class("org.apache.spark.rpc.RpcAddress").unwrap().uid, 42);
/// ```
#[derive(Debug, Clone)]
pub struct ClassTable {
    profile: &'static Profile,
    pinned: bool,
    /// Whether the peer has shown that the profile is right.
    confirmed: bool,
    scala: Scala,
    /// What differs from the profile.
    learned: HashMap<String, ClassInfo>,
    /// About how many bytes that takes.
    learned_bytes: usize,
}

/// How the classes that tell one version of Spark from another begin.
const SPARK: &str = "org.apache.spark.";

/// How many bytes are spent on what a peer teaches; all of Spark's messages together take less.
const MOST_LEARNED: usize = 1 << 20;

impl ClassTable {
    /// Begins with a version that is given up when the peer turns out to be another.
    pub fn new(profile: &'static Profile) -> Self {
        Self {
            profile,
            pinned: false,
            confirmed: false,
            scala: profile.scala(),
            learned: HashMap::new(),
            learned_bytes: 0,
        }
    }

    /// Stays with a version, whatever the peer sends.
    pub fn pinned(profile: &'static Profile) -> Self {
        Self {
            pinned: true,
            confirmed: true,
            ..Self::new(profile)
        }
    }

    /// Returns the version of Spark that the peer resembles most.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Tells whether the version is known: it was pinned, or an id that the peer has sent or wanted agrees with it.
    ///
    /// As long as it is not, what is written with Spark's own classes is a guess.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Tells whether [`observe`](Self::observe) would change anything.
    pub fn would_learn(&self, graph: &Graph) -> bool {
        !self.pinned
            && graph.classes().iter().any(|desc| {
                !desc.name().starts_with('[')
                    && match self.class(desc.name()) {
                        None => true,
                        Some(known) => {
                            known.uid != desc.uid() || (!self.confirmed && desc.name().starts_with(SPARK))
                        }
                    }
            })
    }

    /// Returns the version of Scala that the peer was compiled for.
    pub fn scala(&self) -> Scala {
        self.scala
    }

    /// Returns what is known of a class; only the id, and no flags, when it was learned from a refusal alone.
    pub fn class(&self, name: &str) -> Option<&ClassInfo> {
        self.learned.get(name).or_else(|| self.profile.class(name))
    }

    /// Learns from a stream that the peer sent.
    pub fn observe(&mut self, graph: &Graph) {
        if self.pinned {
            return;
        }
        self.choose_profile(graph);
        let agrees = |desc: &ClassDesc| {
            let known = self.profile.class(desc.name());
            desc.name().starts_with(SPARK) && known.is_some_and(|known| known.uid == desc.uid())
        };
        self.confirmed |= graph.classes().iter().any(agrees);
        if let Some(scala) = graph.classes().iter().find_map(|desc| scala_of(desc.name())) {
            self.scala = scala;
        }
        for desc in graph.classes() {
            if !desc.name().starts_with('[')
                && self
                    .class(desc.name())
                    .is_none_or(|known| known.uid != desc.uid())
                && let Some(info) = info(graph, desc)
            {
                self.insert(info);
            }
        }
    }

    /// Learns the id that a peer would have accepted; tells whether that is new, and another try may help.
    ///
    /// One id is often enough to know the version, and with it all others.
    pub fn learn(&mut self, refusal: &Refusal) -> bool {
        let known = self.class(&refusal.class);
        if self.pinned || known.is_some_and(|info| info.uid == refusal.expected) {
            return false;
        }
        let right = |profile: &&Profile| {
            profile
                .class(&refusal.class)
                .is_some_and(|info| info.uid == refusal.expected)
        };
        // The newest that agrees: the ids of many classes stay the same for several versions.
        if refusal.class.starts_with(SPARK)
            && let Some(profile) = Profile::all().iter().rfind(right)
        {
            self.confirmed = true;
            if !right(&self.profile) {
                self.profile = profile;
                self.scala = profile.scala();
                self.learned.clear();
                self.learned_bytes = 0;
                return true;
            }
        }
        let known = self.class(&refusal.class);
        let mut info = known.cloned().unwrap_or_else(|| ClassInfo {
            name: refusal.class.clone(),
            uid: 0,
            flags: crate::ClassFlags::NONE,
            super_class: None,
            fields: Vec::new(),
        });
        info.uid = refusal.expected;
        self.insert(info)
    }

    fn insert(&mut self, info: ClassInfo) -> bool {
        let before = self.learned.get(&info.name).map_or(0, weight);
        let after = self.learned_bytes - before + weight(&info);
        let room = after <= MOST_LEARNED;
        if room {
            self.learned_bytes = after;
            self.learned.insert(info.name.clone(), info);
        }
        room
    }

    /// Changes to the version that knows more of the stream's ids than the current one.
    fn choose_profile(&mut self, graph: &Graph) {
        let (same, different) = self.profile.compare(graph);
        if different == 0 {
            return;
        }
        let best = Profile::all()
            .iter()
            .max_by_key(|profile| profile.compare(graph).0);
        if let Some(best) = best.filter(|best| best.compare(graph).0 > same) {
            self.profile = best;
            self.scala = best.scala();
        }
    }
}

impl Default for ClassTable {
    /// Begins with the newest version of Spark.
    fn default() -> Self {
        Self::new(Profile::newest())
    }
}

/// Returns about how much memory an entry takes.
fn weight(info: &ClassInfo) -> usize {
    let fields = info
        .fields
        .iter()
        .map(|field| field.name.len() + field.descriptor.len() + 64);
    2 * info.name.len() + 128 + fields.sum::<usize>()
}

/// Tells the version of Scala by a class that only one of them has.
fn scala_of(class: &str) -> Option<Scala> {
    match class {
        "scala.runtime.ModuleSerializationProxy"
        | "scala.collection.generic.DefaultSerializationProxy"
        | "scala.collection.immutable.ArraySeq"
        | "scala.collection.mutable.ArraySeq$ofRef" => Some(Scala::V2_13),
        "scala.collection.immutable.List$SerializationProxy"
        | "scala.collection.immutable.HashMap$SerializationProxy"
        | "scala.collection.immutable.HashSet$SerializationProxy"
        | "scala.collection.mutable.WrappedArray" => Some(Scala::V2_12),
        _ => None,
    }
}

fn info(graph: &Graph, desc: &ClassDesc) -> Option<ClassInfo> {
    let ClassKind::Plain {
        name,
        uid,
        flags,
        fields,
    } = &desc.kind
    else {
        return None;
    };
    let fields = fields.iter().map(|field| {
        Some(FieldInfo {
            descriptor: graph.field_type(field)?.to_owned(),
            name: field.name.clone(),
        })
    });
    Some(ClassInfo {
        name: name.clone(),
        uid: *uid,
        flags: *flags,
        super_class: desc.super_class.map(|id| graph[id].name().to_owned()),
        fields: fields.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassFlags, Content, Instance, Object, Part, Value};

    /// A stream with one object of each class.
    fn stream(classes: &[(&str, i64)]) -> Graph {
        let mut graph = Graph::new();
        for (name, uid) in classes {
            let class = graph.add_class(ClassDesc::new(*name, *uid, ClassFlags::SERIALIZABLE));
            let parts = vec![Part {
                class,
                fields: Vec::new(),
                annotation: Vec::new(),
            }];
            let id = graph.add(Object::Instance(Instance { class, parts }));
            graph.push(Content::Value(Value::Object(id)));
        }
        graph
    }

    #[test]
    fn the_version_follows_what_the_peer_sends() {
        let mut table = ClassTable::new(Profile::of("4.1.4").unwrap());
        table.observe(&stream(&[(
            "org.apache.spark.rpc.RpcAddress",
            -1438326888747922488,
        )]));
        assert_eq!(table.profile().spark(), "3.5.9");
        assert_eq!(table.scala(), Scala::V2_12);
        assert_eq!(
            table.class("org.apache.spark.rpc.netty.RpcFailure").unwrap().uid,
            6200593443939224041
        );

        let mut pinned = ClassTable::pinned(Profile::of("4.1.4").unwrap());
        pinned.observe(&stream(&[(
            "org.apache.spark.rpc.RpcAddress",
            -1438326888747922488,
        )]));
        assert_eq!(pinned.profile().spark(), "4.1.4");
    }

    #[test]
    fn classes_that_no_file_knows_are_learned_up_to_a_limit() {
        let mut table = ClassTable::default();
        table.observe(&stream(&[("a.B", 7), ("org.apache.spark.rpc.RpcAddress", 8)]));
        assert_eq!(table.class("a.B").unwrap().uid, 7);
        assert_eq!(table.class("org.apache.spark.rpc.RpcAddress").unwrap().uid, 8);
        assert_eq!(table.profile().spark(), Profile::newest().spark());

        for number in 0..10_000 {
            table.observe(&stream(&[(&format!("a.C{number}"), 1)]));
        }
        assert!(
            (5_000..10_000).contains(&table.learned.len()),
            "{}",
            table.learned.len()
        );
        table.observe(&stream(&[("a.B", 9)]));
        assert_eq!(
            table.class("a.B").unwrap().uid,
            9,
            "what is known can still change"
        );
    }

    #[test]
    fn a_version_is_known_once_the_peer_has_shown_an_id_of_it() {
        let mut table = ClassTable::default();
        let plain = stream(&[("java.lang.Integer", 1360826667806852920)]);
        table.observe(&plain);
        assert!(!table.is_confirmed(), "every JVM has that one");
        assert!(!table.would_learn(&plain));
        let address = stream(&[("org.apache.spark.rpc.RpcAddress", 3128407972965539268)]);
        assert!(table.would_learn(&address));
        table.observe(&address);
        assert!(table.is_confirmed());
        assert!(!table.would_learn(&address));
        assert!(ClassTable::pinned(Profile::newest()).is_confirmed());
    }

    #[test]
    fn one_refused_id_tells_the_version_if_a_profile_has_it() {
        let mut table = ClassTable::default();
        let refusal = Refusal {
            class: "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence".to_owned(),
            sent: 5378738997755484868,
            expected: 7789290765573734431,
        };
        assert!(table.learn(&refusal));
        assert_eq!(table.profile().spark(), "3.5.9");
        assert_eq!(table.scala(), Scala::V2_12);
        assert!(table.is_confirmed());
        assert!(!table.learn(&refusal));
    }

    #[test]
    fn the_same_refusal_twice_teaches_nothing() {
        let refusal = Refusal {
            class: "a.B".to_owned(),
            sent: 0,
            expected: 5,
        };
        let mut table = ClassTable::default();
        assert!(table.learn(&refusal));
        assert!(!table.learn(&refusal));
        assert_eq!(table.class("a.B").unwrap().uid, 5);
    }
}
