//! What real Masters have sent, one for each line of Scala.

use bytes::Bytes;
use spark_rpc_javaobj::{ClassTable, FromJava, Graph, Limits, Profile, ToJava, from_bytes, to_bytes};
use spark_rpc_standalone::{BoundPorts, DriverState, DriverStatus, MasterState, RecoveryState};

const RECORDED: [(&str, &str); 2] = [
    ("3.5.9", include_str!("data/master-3.5.9.txt")),
    ("4.1.4", include_str!("data/master-4.1.4.txt")),
];

fn stream(file: &str, name: &str) -> Bytes {
    let mut rows = file.lines().filter_map(|line| line.split_once(' '));
    let (_, hex) = rows.find(|(found, _)| *found == name).expect("it is recorded");
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn read<T: FromJava>(bytes: &Bytes) -> T {
    from_bytes(bytes, &Limits::default()).unwrap()
}

#[test]
fn a_masters_state_has_its_worker_applications_and_driver() {
    for (version, file) in RECORDED {
        let state: MasterState = read(&stream(file, "master-state"));
        assert_eq!(
            (&*state.host, state.status),
            ("127.0.0.1", RecoveryState::Alive),
            "{version}"
        );
        let rest_port = if version == "3.5.9" { None } else { Some(6066) };
        assert_eq!(state.rest_port, rest_port, "{version}");

        let [worker] = &state.workers.0[..] else {
            panic!("{version}: {:?}", state.workers)
        };
        assert_eq!((worker.cores, worker.memory), (4, 2048), "{version}");
        assert_eq!(worker.resources["gpu"].addresses, ["0", "1"], "{version}");
        assert_eq!(
            worker.endpoint.to_string(),
            format!("spark://Worker@127.0.0.1:{}", worker.port)
        );

        let running = &state.active_apps.0[0];
        assert_eq!(
            (&*running.desc.name, &*running.desc.user),
            ("sleepy", "root"),
            "{version}"
        );
        assert_eq!(running.requested_cores, 2);
        assert_eq!(running.desc.max_cores, Some(2));
        assert_eq!(
            running.desc.default_profile.executor_memory(),
            Some(512),
            "{version}"
        );
        assert_eq!(running.desc.default_profile.executor_cores(), None, "{version}");
        assert_eq!(running.submit_date.millis, running.start_time);
        assert_eq!(running.driver.name(), "AppClient");

        let [ended] = &state.completed_apps.0[..] else {
            panic!("{version}: {:?}", state.completed_apps)
        };
        assert_eq!(ended.desc.name, "short");

        // The older one's driver has ended, with an error; the other one's runs, and its application waits for cores.
        let expected = if version == "3.5.9" { (1, 0, 1) } else { (2, 1, 0) };
        let counts = (
            state.active_apps.0.len(),
            state.active_drivers.0.len(),
            state.completed_drivers.0.len(),
        );
        assert_eq!(counts, expected, "{version}");
        let mut drivers = state.active_drivers.0.iter().chain(&state.completed_drivers.0);
        let driver = drivers.next().expect("one of the two is there");
        assert_eq!((driver.desc.mem, driver.desc.cores), (600, 1), "{version}");
        assert_eq!(driver.desc.main_class(), "Sleepy", "{version}");
    }
}

#[test]
fn ports_and_the_states_of_drivers_are_read() {
    for (version, file) in RECORDED {
        let ports: BoundPorts = read(&stream(file, "bound-ports"));
        assert!(
            ports.web_ui_port > 0 && ports.rpc_endpoint_port > 0,
            "{version}: {ports:?}"
        );

        let known: DriverStatus = read(&stream(file, "driver-known"));
        let is = if version == "3.5.9" {
            DriverState::Failed
        } else {
            DriverState::Running
        };
        assert_eq!((known.found, known.state), (true, Some(is)), "{version}");
        assert!(known.worker_id.is_some(), "{version}: {known:?}");
        let unknown: DriverStatus = read(&stream(file, "driver-unknown"));
        assert_eq!((unknown.found, unknown.state), (false, None), "{version}");
    }
}

/// Objects are the same to us after a turn through our own writer with the classes of the same version.
#[test]
fn what_we_write_of_it_reads_the_same() {
    fn again<T: FromJava + ToJava + std::fmt::Debug>(version: &str, bytes: &Bytes) {
        let table = ClassTable::pinned(Profile::of(version).unwrap());
        let value: T = read(bytes);
        let written = to_bytes(&value, &table).unwrap().into();
        assert_eq!(
            format!("{:?}", read::<T>(&written)),
            format!("{value:?}"),
            "{version}"
        );
        let arrays = |bytes: &Bytes| {
            let graph = Graph::read(bytes, &Limits::default()).unwrap();
            let named = graph
                .classes()
                .iter()
                .filter(|class| class.name().starts_with("[Lorg"));
            named.map(|class| class.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            arrays(&written),
            arrays(bytes),
            "{version}: arrays stay arrays of their class"
        );
    }
    for (version, file) in RECORDED {
        again::<MasterState>(version, &stream(file, "master-state"));
        again::<BoundPorts>(version, &stream(file, "bound-ports"));
        again::<DriverStatus>(version, &stream(file, "driver-known"));
    }
}
