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
    /// The versions that what the peer has shown allows, one bit for each profile.
    possible: u32,
    scala: Scala,
    /// What differs from the profile.
    learned: HashMap<String, ClassInfo>,
    /// About how many bytes that takes.
    learned_bytes: usize,
}

/// How the classes that tell one version of Spark from another begin.
const SPARK: &str = "org.apache.spark.";

/// How many classes may stand above each other; there are never so many.
const MOST_SUPERCLASSES: usize = 32;

/// The bits of the profiles for which something holds.
fn versions(holds: impl Fn(&Profile) -> bool) -> u32 {
    let all = Profile::all().iter().enumerate();
    all.fold(0, |bits, (index, profile)| {
        bits | (u32::from(holds(profile)) << index)
    })
}

fn every_version() -> u32 {
    versions(|_| true)
}

/// The versions that have this id for a class, or do not know the class.
fn agreeing(class: &str, uid: i64) -> u32 {
    versions(|profile| profile.class(class).is_none_or(|info| info.uid == uid))
}

/// How many bytes are spent on what a peer teaches; all of Spark's messages together take less.
const MOST_LEARNED: usize = 1 << 20;

impl ClassTable {
    /// Begins with a version that is given up when the peer turns out to be another.
    pub fn new(profile: &'static Profile) -> Self {
        Self {
            profile,
            pinned: false,
            possible: every_version(),
            scala: profile.scala(),
            learned: HashMap::new(),
            learned_bytes: 0,
        }
    }

    /// Begins with a version that somebody vouches for; it is given up when the peer turns out to be another.
    pub fn assumed(profile: &'static Profile) -> Self {
        let mut table = Self::new(profile);
        table.possible = versions(|other| other.spark() == profile.spark());
        table
    }

    /// Stays with a version, whatever the peer sends.
    pub fn pinned(profile: &'static Profile) -> Self {
        Self {
            pinned: true,
            ..Self::assumed(profile)
        }
    }

    /// Returns the version of Spark that the peer resembles most.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Tells whether the peer certainly accepts an object of a class: all versions that the peer may have agree on it and on
    /// its superclasses, or the peer has shown it.
    ///
    /// The versions of a line often differ in a few classes only, so that a peer of which little has been seen may be
    /// several of them. As long as it has shown nothing, it may be all.
    pub fn is_certain(&self, class: &str) -> bool {
        let mut next = Some(class);
        for _ in 0..MOST_SUPERCLASSES {
            let Some(name) = next else { return true };
            let Some(info) = self.class(name) else {
                return false;
            };
            let mut possible = self.possible_profiles().peekable();
            let shown = self.learned.contains_key(name);
            if !shown
                && (possible.peek().is_none()
                    || possible.any(|profile| profile.class(name).map(|other| other.uid) != Some(info.uid)))
            {
                return false;
            }
            next = info.super_class.as_deref();
        }
        false
    }

    fn possible_profiles(&self) -> impl Iterator<Item = &'static Profile> {
        let all = Profile::all().iter().enumerate();
        all.filter(|(index, _)| self.possible & (1 << index) != 0)
            .map(|(_, profile)| profile)
    }

    /// Leaves those versions that agree with an id; all of these, if that contradicts what was assumed.
    fn narrow(&mut self, class: &str, uid: i64) {
        if class.starts_with(SPARK) {
            let agree = agreeing(class, uid);
            self.possible = match self.possible & agree {
                0 => agree,
                both => both,
            };
        }
    }

    /// Tells whether [`observe`](Self::observe) would change anything.
    pub fn would_learn(&self, graph: &Graph) -> bool {
        !self.pinned
            && graph.classes().iter().any(|desc| {
                !desc.name().starts_with('[')
                    && match self.class(desc.name()) {
                        None => true,
                        Some(known) => {
                            known.uid != desc.uid()
                                || (desc.name().starts_with(SPARK)
                                    && self.possible & !agreeing(desc.name(), desc.uid()) != 0)
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
        for desc in graph.classes() {
            self.narrow(desc.name(), desc.uid());
        }
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
            self.narrow(&refusal.class, refusal.expected);
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
    fn a_class_is_certain_when_all_versions_that_are_left_agree() {
        const FAILURE: &str = "org.apache.spark.rpc.netty.RpcFailure";
        const EXCEPTION: &str = "org.apache.spark.SparkException";
        let mut table = ClassTable::default();
        let plain = stream(&[("java.lang.Integer", 1360826667806852920)]);
        table.observe(&plain);
        assert!(
            table.is_certain("java.lang.RuntimeException"),
            "every JVM has that one"
        );
        assert!(!table.is_certain(FAILURE));
        assert!(!table.is_certain("no.such.Class"));

        // All versions of Spark 4 have this id, but not the same exception.
        let address = stream(&[("org.apache.spark.rpc.RpcAddress", 3128407972965539268)]);
        assert!(table.would_learn(&address));
        table.observe(&address);
        assert!(!table.would_learn(&address));
        assert!(table.is_certain(FAILURE));
        assert!(!table.is_certain(EXCEPTION));
        assert!(!table.is_certain("org.apache.spark.rpc.RpcEndpointNotFoundException"));

        table.observe(&stream(&[(EXCEPTION, -6239517610739762819)]));
        assert_eq!(table.profile().spark(), "4.1.4");
        assert!(table.is_certain(EXCEPTION));
        assert!(table.is_certain("org.apache.spark.rpc.RpcEndpointNotFoundException"));
    }

    #[test]
    fn an_assumed_version_is_certain_until_it_is_contradicted() {
        const EXCEPTION: &str = "org.apache.spark.SparkException";
        assert!(ClassTable::pinned(Profile::newest()).is_certain(EXCEPTION));
        let mut table = ClassTable::assumed(Profile::of("4.1.4").unwrap());
        assert!(table.is_certain(EXCEPTION));
        table.observe(&stream(&[(
            "org.apache.spark.rpc.RpcAddress",
            3128407972965539268,
        )]));
        assert!(table.is_certain(EXCEPTION));
        table.observe(&stream(&[(
            "org.apache.spark.rpc.RpcAddress",
            -1438326888747922488,
        )]));
        assert!(!table.is_certain(EXCEPTION), "3.4.4 and 3.5.9 differ in it");
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
        assert!(table.is_certain("org.apache.spark.rpc.netty.RpcFailure"));
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
