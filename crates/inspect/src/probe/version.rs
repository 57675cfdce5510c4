//! Which version of Spark a JVM has, by the class ids that it names when it refuses others.

use spark_rpc_javaobj::{ClassTable, Profile, Refusal};

use super::findings::Peer;

/// What is known of a JVM's version.
#[derive(Debug, Default)]
pub(super) struct Versions {
    ids: Vec<(String, i64)>,
    table: ClassTable,
    given_up: bool,
}

impl Versions {
    /// Whether anything is known.
    pub(super) fn seen(&self) -> bool {
        !self.ids.is_empty()
    }

    pub(super) fn learn(&mut self, refusal: &Refusal) {
        self.table.learn(refusal);
        if self.ids.iter().any(|(class, _)| *class == refusal.class) {
            self.given_up = true;
        } else {
            self.ids.push((refusal.class.clone(), refusal.expected));
        }
    }

    /// No further question is answered.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// What is known of the peer's classes.
    pub(super) fn table(&self) -> &ClassTable {
        &self.table
    }

    /// The versions that have all the ids.
    fn candidates(&self) -> Vec<&'static Profile> {
        let fits = |profile: &&Profile| {
            self.ids
                .iter()
                .all(|(class, id)| profile.class(class).is_some_and(|info| info.uid == *id))
        };
        Profile::all().iter().filter(fits).collect()
    }

    /// Whether another question may tell more.
    pub(super) fn worth_another(&self) -> bool {
        let candidates = self.candidates();
        !self.given_up && self.ids.len() < MOST_QUESTIONS && spread(self.next(), &candidates) > 1
    }

    /// The class whose id tells most.
    pub(super) fn next(&self) -> &'static str {
        let candidates = self.candidates();
        let asked = |class: &str| self.ids.iter().any(|(known, _)| known == class);
        let classes = TELLING.iter().copied().filter(|class| !asked(class));
        // The first of those that tell the same.
        classes
            .rev()
            .max_by_key(|class| spread(class, &candidates))
            .unwrap_or(TELLING[0])
    }

    pub(super) fn peer(&self) -> Peer {
        let candidates = self.candidates();
        Peer::Jvm {
            versions: candidates.iter().map(|profile| profile.spark()).collect(),
            scala: Peer::scala_of(&candidates),
            ids: self.ids.clone(),
        }
    }
}

/// How many ids of a class the versions have between them.
fn spread(class: &str, among: &[&Profile]) -> usize {
    let mut ids: Vec<_> = among
        .iter()
        .map(|profile| profile.class(class).map(|info| info.uid))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// Classes of `spark-core` whose ids differ between versions, each where others do not.
const TELLING: [&str; 4] = [
    "org.apache.spark.SparkException",
    "org.apache.spark.resource.ResourceProfile",
    "org.apache.spark.rpc.RpcEndpointRef",
    "org.apache.spark.scheduler.Task",
];
/// Each leaves an error in the peer's log.
const MOST_QUESTIONS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(class: &str, expected: i64) -> Refusal {
        Refusal {
            class: class.to_owned(),
            sent: 1,
            expected,
        }
    }

    #[test]
    fn two_questions_tell_every_known_version_from_the_others() {
        for profile in Profile::all() {
            let mut versions = Versions::default();
            while !versions.seen() || versions.worth_another() {
                let class = versions.next();
                versions.learn(&refusal(class, profile.class(class).unwrap().uid));
            }
            assert!(versions.ids.len() <= 2, "{:?}", versions.ids);
            let Peer::Jvm {
                versions: found,
                scala,
                ..
            } = versions.peer()
            else {
                unreachable!("it is a JVM")
            };
            assert_eq!(found, [profile.spark()]);
            assert_eq!(
                scala,
                Some(if profile.spark().starts_with('3') {
                    "2.12"
                } else {
                    "2.13"
                })
            );
        }
    }

    #[test]
    fn a_version_that_nobody_knows_is_none_of_those_that_are() {
        let mut versions = Versions::default();
        versions.learn(&refusal(versions.next(), 42));
        assert!(!versions.worth_another());
        let Peer::Jvm { versions, scala, ids } = versions.peer() else {
            unreachable!("it is a JVM")
        };
        assert_eq!((versions.len(), scala, ids.len()), (0, None, 1));
    }
}
