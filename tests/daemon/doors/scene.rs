//! What tests of doors start from: an application on two hosts, a client, and a program that has doors.

use std::{
    fs::{self, File},
    sync::Arc,
    time::Duration,
};

use chaos_tests::{
    daemon::alone,
    doorkeeper::{Connected, Doorkeeper, OpenDoor, application, connect},
    lab::{Family, Host, Lab},
    wait::wait_until,
};

use crate::scenario::PATIENCE;

/// What has a door.
pub(super) const PORT: u16 = 8080;
/// What has none.
pub(super) const OTHER_PORT: u16 = 8081;
/// Longer than a test.
pub(super) const LONG: Duration = Duration::from_mins(10);

/// Two hosts with applications and a client. Fields are dropped in this order.
pub(super) struct Scene {
    pub(super) keeper: Doorkeeper,
    pub(super) web: Host,
    pub(super) other: Host,
    pub(super) client: Host,
    pub(super) lab: Lab,
    _alone: Arc<File>,
}

impl Scene {
    pub(super) fn new(name: &str) -> Self {
        let alone = alone().unwrap();
        let lab = Lab::new(name).unwrap();
        let [web, other, client] = ["web", "other", "client"].map(|name| lab.host(name).unwrap());
        for host in [&web, &other] {
            application(host, PORT).unwrap();
            application(host, OTHER_PORT).unwrap();
        }
        let keeper = Doorkeeper::start().unwrap();
        Self {
            keeper,
            web,
            other,
            client,
            lab,
            _alone: alone,
        }
    }

    pub(super) fn open(&mut self, options: &str) -> OpenDoor {
        self.keeper.open(&self.web, PORT, options).unwrap()
    }

    /// A door that acts.
    pub(super) fn armed(&mut self, options: &str) -> OpenDoor {
        let door = self.open(options);
        self.keeper.arm(&door, LONG).unwrap();
        door
    }

    pub(super) fn connect(&self, family: Family) -> Connected {
        connect(&self.client, self.web.socket_address(family, PORT)).unwrap()
    }

    pub(super) fn is_relayed(&self) -> bool {
        let [v4, v6] = Family::BOTH.map(|family| self.connect(family).relayed);
        assert_eq!(v4, v6, "the families differ");
        v4
    }

    /// What is not about the door goes straight.
    pub(super) fn others_go_straight(&self) {
        for family in Family::BOTH {
            for to in [
                self.web.socket_address(family, OTHER_PORT),
                self.other.socket_address(family, PORT),
            ] {
                assert!(!connect(&self.client, to).unwrap().relayed, "{to}");
            }
        }
    }

    pub(super) fn close_existing(&mut self, door: &OpenDoor) -> String {
        self.keeper
            .ask(&format!("close-existing {}", door.id))
            .unwrap()
    }

    pub(super) fn settings(&self) -> Vec<String> {
        let names = [
            "ipv4/tcp_fwmark_accept",
            "ipv4/fwmark_reflect",
            "ipv6/fwmark_reflect",
        ];
        let read =
            || names.map(|name| fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap());
        self.web.run(read).unwrap().into()
    }

    /// Nothing is left of doors in the kernel, nor of what they changed in the namespace.
    pub(super) fn nothing_is_left(&self) {
        let last = || self.lab.leftovers().unwrap();
        let gone = wait_until("nothing is left", PATIENCE, || last().is_empty());
        assert!(gone.is_ok(), "left behind: {}", last());
        assert_eq!(self.settings(), ["0\n"; 3]);
        for family in ["-4", "-6"] {
            let rules = self.web.output("ip", &[family, "rule"], PATIENCE).unwrap();
            assert!(!rules.stdout.contains("fwmark"), "{}", rules.stdout);
            let routes = ["route", "show", "table", "all", "type", "local", "default"];
            let mut arguments = vec![family];
            arguments.extend(routes);
            let routes = self.web.output("ip", &arguments, PATIENCE).unwrap();
            assert_eq!(routes.stdout.trim(), "", "routes are left");
        }
    }
}
