//! `endpoint status`, `endpoint health`, `endpoint hashkv`: every endpoint is asked by itself.

use crate::print::{
    Format, Object, Style, array, comma_lines, fields_header, fields_line, json_header, json_strings, table,
};
use crate::session::{Session, block_on};
use client::Client;
use proto::etcdserverpb as pb;
use std::time::Instant;
use tokio::task::JoinSet;
use utl::cli::{Command, Failure, Flag, Invocation, code, print, warn};
use utl::format::{duration_text, quote, size_text};

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "hashkv",
        about: "Shows the hash of the keys of each endpoint",
        shared_flags: &[Flag::int("rev", "hash up to this revision (default: the latest)")],
        run: Some(hashkv),
        ..Command::EMPTY
    },
    Command {
        name: "health",
        about: "Tells of each endpoint whether it serves",
        run: Some(health),
        ..Command::EMPTY
    },
    Command {
        name: "status",
        about: "Shows the status of each endpoint",
        details: "Shows the status of each endpoint.

In the format simple a line has: endpoint, ID, version, storage version, db size, in use, percentage not in use, quota,
is leader, is learner, raft term, raft index, raft applied index, errors, downgrade target version, downgrade enabled.",
        run: Some(status),
        ..Command::EMPTY
    },
];

pub(crate) const FLAGS: &[Flag] = &[Flag::switch("cluster", "ask all client URLs of the member list")];

/// The endpoints to ask: those given, or those that the members advertise.
fn endpoints(session: &Session) -> Result<Vec<String>, Failure> {
    if !session.flags.bool("cluster") {
        return Ok(session.config.endpoints.clone());
    }
    let mut client = session.client()?;
    let response = block_on(client.member_list(pb::MemberListRequest { linearizable: true }))?;
    let response = response.map_err(|error| {
        Failure::error(format!("failed to fetch endpoints from etcd cluster member list: {error}"))
    })?;
    Ok(response.members.into_iter().flat_map(|member| member.client_ur_ls).collect())
}

fn status(invocation: &Invocation) -> Result<(), Failure> {
    let session = Session::new(invocation, &Format::OF_ENDPOINTS)?;
    let mut answers = Vec::new();
    let mut has_failed = false;
    for endpoint in endpoints(&session)? {
        let mut client = session.client_of(&endpoint)?;
        match block_on(client.status())? {
            Ok(response) => answers.push((endpoint, response)),
            Err(error) => {
                warn(format!("Failed to get the status of endpoint {endpoint} ({error})"));
                has_failed = true;
            }
        }
    }
    print(status_text(&answers, session.style));
    if has_failed { Err(Failure { code: code::ERROR, message: String::new() }) } else { Ok(()) }
}

fn status_text(answers: &[(String, pb::StatusResponse)], style: Style) -> String {
    let rows =
        || answers.iter().map(|(endpoint, response)| status_row(endpoint, response)).collect::<Vec<_>>();
    match style.format {
        Format::Json => {
            let objects = answers
                .iter()
                .map(|(endpoint, response)| about("Endpoint", endpoint).raw("Status", status_json(response)));
            json_list(objects)
        }
        Format::Fields => answers
            .iter()
            .map(|(endpoint, response)| status_fields(endpoint, response, style.is_hex))
            .collect(),
        Format::Table => table(&STATUS_HEADERS, &rows()),
        _ => comma_lines(&rows()),
    }
}

const STATUS_HEADERS: [&str; 16] = [
    "endpoint",
    "ID",
    "version",
    "storage version",
    "db size",
    "in use",
    "percentage not in use",
    "quota",
    "is leader",
    "is learner",
    "raft term",
    "raft index",
    "raft applied index",
    "errors",
    "downgrade target version",
    "downgrade enabled",
];

fn status_row(endpoint: &str, response: &pb::StatusResponse) -> Vec<String> {
    let member = response.header.unwrap_or_default().member_id;
    let downgrade = response.downgrade_info.clone().unwrap_or_default();
    let in_use_percent = i128::from(response.db_size_in_use) * 100 / i128::from(response.db_size).max(1);
    // The original reads the size as unsigned.
    let size = |bytes: i64| size_text(bytes as u64);
    vec![
        endpoint.to_owned(),
        format!("{member:x}"),
        response.version.clone(),
        response.storage_version.clone(),
        size(response.db_size),
        size(response.db_size_in_use),
        format!("{}%", 100 - in_use_percent),
        size(response.db_size_quota),
        (response.leader == member).to_string(),
        response.is_learner.to_string(),
        response.raft_term.to_string(),
        response.raft_index.to_string(),
        response.raft_applied_index.to_string(),
        response.errors.join(", "),
        downgrade.target_version,
        downgrade.enabled.to_string(),
    ]
}

fn status_json(response: &pb::StatusResponse) -> String {
    let downgrade = response.downgrade_info.as_ref().map(|info| {
        Object::new()
            .scalar("enabled", info.enabled)
            .text_or_none("targetVersion", &info.target_version)
            .finish()
    });
    Object::new()
        .optional("header", response.header.as_ref().map(json_header))
        .text_or_none("version", &response.version)
        .scalar("dbSize", response.db_size)
        .scalar("leader", response.leader)
        .scalar("raftIndex", response.raft_index)
        .scalar("raftTerm", response.raft_term)
        .scalar("raftAppliedIndex", response.raft_applied_index)
        .optional("errors", json_strings(&response.errors))
        .scalar("dbSizeInUse", response.db_size_in_use)
        .scalar("isLearner", response.is_learner)
        .text_or_none("storageVersion", &response.storage_version)
        .scalar("dbSizeQuota", response.db_size_quota)
        .optional("downgradeInfo", downgrade)
        .finish()
}

fn status_fields(endpoint: &str, response: &pb::StatusResponse, is_hex: bool) -> String {
    let downgrade = response.downgrade_info.clone().unwrap_or_default();
    let lines = [
        fields_header(response.header, is_hex),
        fields_line("Version", quote(response.version.as_bytes())),
        fields_line("StorageVersion", quote(response.storage_version.as_bytes())),
        fields_line("DBSize", response.db_size),
        fields_line("DBSizeInUse", response.db_size_in_use),
        fields_line("DBSizeQuota", response.db_size_quota),
        fields_line("Leader", response.leader),
        fields_line("IsLearner", response.is_learner),
        fields_line("RaftIndex", response.raft_index),
        fields_line("RaftTerm", response.raft_term),
        fields_line("RaftAppliedIndex", response.raft_applied_index),
        fields_line("Errors", format_args!("[{}]", response.errors.join(" "))),
        fields_line("Endpoint", quote(endpoint.as_bytes())),
        fields_line("DowngradeTargetVersion", quote(downgrade.target_version.as_bytes())),
        fields_line("DowngradeEnabled", downgrade.enabled),
        "\n".to_owned(),
    ];
    lines.concat()
}

fn hashkv(invocation: &Invocation) -> Result<(), Failure> {
    let session = Session::new(invocation, &Format::OF_ENDPOINTS)?;
    let request = pb::HashKvRequest { revision: invocation.flags.int("rev") };
    let mut answers = Vec::new();
    let mut failure = None;
    for endpoint in endpoints(&session)? {
        let mut client = session.client_of(&endpoint)?;
        match block_on(client.hash_kv(request))? {
            Ok(response) => answers.push((endpoint, response)),
            Err(error) => {
                warn(format!("Failed to get the hash of endpoint {endpoint} ({error})"));
                failure = Some(Failure::error(error));
            }
        }
    }
    print(hashkv_text(&answers, session.style));
    failure.map_or(Ok(()), Err)
}

fn hashkv_text(answers: &[(String, pb::HashKvResponse)], style: Style) -> String {
    let row = |(endpoint, response): &(String, pb::HashKvResponse)| {
        vec![endpoint.clone(), response.hash.to_string(), response.hash_revision.to_string()]
    };
    let rows: Vec<_> = answers.iter().map(row).collect();
    match style.format {
        Format::Json => json_list(answers.iter().map(|(endpoint, response)| {
            let hash = Object::new()
                .optional("header", response.header.as_ref().map(json_header))
                .scalar("hash", response.hash)
                .scalar("compact_revision", response.compact_revision)
                .scalar("hash_revision", response.hash_revision);
            about("Endpoint", endpoint).raw("HashKV", hash.finish())
        })),
        Format::Fields => {
            let fields = |(endpoint, response): &(String, pb::HashKvResponse)| {
                fields_header(response.header, style.is_hex)
                    + &fields_line("Endpoint", quote(endpoint.as_bytes()))
                    + &fields_line("Hash", response.hash)
                    + &fields_line("HashRevision", response.hash_revision)
                    + "\n"
            };
            answers.iter().map(fields).collect()
        }
        Format::Table => table(&["endpoint", "hash", "hash_revision"], &rows),
        _ => comma_lines(&rows),
    }
}

struct Health {
    endpoint: String,
    is_healthy: bool,
    took: String,
    /// Empty if there is none.
    error: String,
}

fn health(invocation: &Invocation) -> Result<(), Failure> {
    let session = Session::new(invocation, &Format::OF_ENDPOINTS)?;
    let mut clients = Vec::new();
    for endpoint in endpoints(&session)? {
        clients.push((session.client_of(&endpoint)?, endpoint));
    }
    let found = block_on(async {
        let mut probes = JoinSet::new();
        for (client, endpoint) in clients {
            probes.spawn(probe(client, endpoint));
        }
        let mut found = Vec::new();
        while let Some(probed) = probes.join_next().await {
            found.extend(probed);
        }
        found
    })?;
    let is_sick = found.iter().any(|health| !health.error.is_empty());
    if session.style.format == Format::Simple {
        found.iter().for_each(print_health);
    } else {
        print(health_text(&found, session.style.format));
    }
    if is_sick { Err(Failure::error("unhealthy cluster")) } else { Ok(()) }
}

/// Reads a key through consensus, then asks for alarms.
async fn probe(mut client: Client, endpoint: String) -> Health {
    let start = Instant::now();
    let read = client.range(pb::RangeRequest { key: "health".into(), ..Default::default() }).await;
    let took = duration_text(start.elapsed());
    let error = match read {
        // Whoever is refused has been answered by consensus all the same.
        Err(error) if !error.is_message("etcdserver: permission denied") => error.to_string(),
        Ok(_) | Err(_) => match client.alarm(pb::AlarmRequest::default()).await {
            Ok(response) if response.alarms.is_empty() => String::new(),
            Ok(response) => response.alarms.iter().fold("Active Alarm(s): ".to_owned(), |text, alarm| {
                let name = match alarm.alarm() {
                    pb::AlarmType::Nospace => "NOSPACE ",
                    pb::AlarmType::Corrupt => "CORRUPT ",
                    pb::AlarmType::None => "UNKNOWN ",
                };
                text + name
            }),
            Err(_) => "Unable to fetch the alarm list".to_owned(),
        },
    };
    Health { endpoint, is_healthy: error.is_empty(), took, error }
}

fn print_health(health: &Health) {
    let Health { endpoint, took, error, .. } = health;
    if health.is_healthy {
        print(format!("{endpoint} is healthy: successfully committed proposal: took = {took}\n"));
    } else {
        warn(format!("{endpoint} is unhealthy: failed to commit proposal: {error}"));
    }
}

fn health_text(found: &[Health], format: Format) -> String {
    match format {
        Format::Json => json_list(found.iter().map(|health| {
            about("endpoint", &health.endpoint)
                .raw("health", health.is_healthy)
                .text("took", &health.took)
                .text_or_none("error", &health.error)
        })),
        Format::Fields => {
            let fields = |health: &Health| {
                fields_line("Endpoint", quote(health.endpoint.as_bytes()))
                    + &fields_line("Health", health.is_healthy)
                    + &fields_line("Took", &health.took)
                    + &fields_line("Error", &health.error)
                    + "\n"
            };
            found.iter().map(fields).collect()
        }
        _ => {
            let row = |health: &Health| {
                let Health { endpoint, is_healthy, took, error } = health;
                vec![endpoint.clone(), is_healthy.to_string(), took.clone(), error.clone()]
            };
            table(&["endpoint", "health", "took", "error"], &found.iter().map(row).collect::<Vec<_>>())
        }
    }
}

fn about(name: &str, endpoint: &str) -> Object {
    Object::new().text(name, endpoint)
}

/// A line with an array; without any element it is `null`, as a list never begun is in Go.
fn json_list(objects: impl Iterator<Item = Object>) -> String {
    let items: Vec<String> = objects.map(Object::finish).collect();
    if items.is_empty() { "null\n".to_owned() } else { array(items) + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> pb::StatusResponse {
        pb::StatusResponse {
            header: Some(pb::ResponseHeader {
                cluster_id: 238453183653593855,
                member_id: 14578408409545168728,
                revision: 7,
                raft_term: 2,
            }),
            version: "3.7.1".to_owned(),
            db_size: 20480,
            leader: 14578408409545168728,
            raft_index: 17,
            raft_term: 2,
            raft_applied_index: 17,
            db_size_in_use: 16384,
            storage_version: "3.7.0".to_owned(),
            db_size_quota: 2147483648,
            downgrade_info: Some(pb::DowngradeInfo::default()),
            ..Default::default()
        }
    }

    fn text(format: Format) -> String {
        let style = Style { format, is_hex: false, is_value_only: false };
        status_text(&[("http://localhost:20000".to_owned(), response())], style)
    }

    #[test]
    fn a_status_is_printed_as_the_reference_prints_it() {
        assert_eq!(
            text(Format::Simple),
            "http://localhost:20000, ca50e9357181d758, 3.7.1, 3.7.0, 20 kB, 16 kB, 20%, 2.1 GB, true, false, 2, 17, 17, , , false\n"
        );
        assert_eq!(
            text(Format::Json),
            "[{\"Endpoint\":\"http://localhost:20000\",\"Status\":{\"header\":{\"cluster_id\":238453183653593855,\
             \"member_id\":14578408409545168728,\"revision\":7,\"raft_term\":2},\"version\":\"3.7.1\",\
             \"dbSize\":20480,\"leader\":14578408409545168728,\"raftIndex\":17,\"raftTerm\":2,\
             \"raftAppliedIndex\":17,\"dbSizeInUse\":16384,\"storageVersion\":\"3.7.0\",\
             \"dbSizeQuota\":2147483648,\"downgradeInfo\":{}}}]\n"
        );
        let table = text(Format::Table);
        assert!(table.contains(
            "│ http://localhost:20000 │ ca50e9357181d758 │   3.7.1 │           3.7.0 │   20 kB │  16 kB │                   20% │"
        ));
    }

    #[test]
    fn nothing_reachable_is_null() {
        assert_eq!(json_list(std::iter::empty()), "null\n");
    }
}
