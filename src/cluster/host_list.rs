//! A list of hosts as CSV: how many machines are told at once.
//!
//! The first line has the columns' names: `name`, `appliance`, `rack`, `rank`, `mac`, `ip`, `interface`, `network`, in
//! any order and case; any other column is an attribute of that name. A line is an interface: a name that was there
//! before with another interface adds that interface to the host. An empty cell says nothing. Columns are separated by
//! commas, semicolons or tabs, whichever the first line has; lines that begin with `#` are skipped.

use super::{AttributeName, Host, HostName, Interface, MacAddress, NetworkName};
use std::collections::HashMap;
use std::net::IpAddr;

/// A list may have at most this many lines.
pub const HOST_LIST_LINES_MAX: usize = 200_000;

/// The interface of a host whose line names none.
pub const DEFAULT_INTERFACE: &str = "eth0";

/// One host of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedHost {
    /// The host, with its interfaces in the order of their lines.
    pub host: Host,
    /// Its attributes.
    pub attributes: Vec<(AttributeName, String)>,
    /// The line of each interface, from 1.
    pub lines: Vec<u64>,
}

/// A list of hosts: those whose every line can be read, and what is wrong with the other lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostList {
    /// The hosts in the order of their first lines.
    pub hosts: Vec<ListedHost>,
    /// What is wrong, by line from 1.
    pub errors: Vec<(u64, String)>,
}

/// What a column says.
enum Column {
    Name,
    Appliance,
    Rack,
    Rank,
    Mac,
    Ip,
    Interface,
    Network,
    Attribute(AttributeName),
}

impl Column {
    /// What it is called in the first line.
    fn name(&self) -> &str {
        match self {
            Self::Name => "name",
            Self::Appliance => "appliance",
            Self::Rack => "rack",
            Self::Rank => "rank",
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Interface => "interface",
            Self::Network => "network",
            Self::Attribute(name) => name.as_str(),
        }
    }
}

impl HostList {
    /// Reads a list. `appliance` is that of lines that tell none and whose names do not tell it either.
    pub fn parse(text: &str, appliance: Option<&str>) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut list = Self::default();
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(text))
            .comment(Some(b'#'))
            .flexible(true)
            .trim(csv::Trim::All)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut columns = None;
        let mut index = HashMap::new();
        for (count, record) in reader.records().enumerate() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = line_at(text, error.position());
                    list.errors.push((line, error.to_string()));
                    break;
                }
            };
            let line = line_at(text, record.position());
            if count > HOST_LIST_LINES_MAX {
                list.errors.push((line, format!("a list has at most {HOST_LIST_LINES_MAX} lines")));
                break;
            }
            match &columns {
                None => match read_columns(&record) {
                    Ok(read) => columns = Some(read),
                    Err(errors) => {
                        list.errors.extend(errors.into_iter().map(|why| (line, why)));
                        return list;
                    }
                },
                Some(columns) => list.add_line(line, columns, &record, appliance, &mut index),
            }
        }
        if columns.is_none() && list.errors.is_empty() {
            list.errors.push((1, "the list is empty: its first line has the names of the columns".to_owned()));
        }
        let bad: std::collections::HashSet<u64> = list.errors.iter().map(|(line, _)| *line).collect();
        list.hosts.retain(|host| host.lines.iter().all(|line| !bad.contains(line)));
        list
    }

    fn add_line(
        &mut self,
        line: u64,
        columns: &[Column],
        record: &csv::StringRecord,
        appliance: Option<&str>,
        index: &mut HashMap<HostName, usize>,
    ) {
        if record.iter().all(str::is_empty) {
            return;
        }
        let mut errors = Vec::new();
        if record.len() > columns.len() {
            errors.push(format!("has {} cells, the first line {}", record.len(), columns.len()));
        }
        let Some(mut listed) = read_line(line, columns, record, &mut errors) else {
            self.errors.extend(errors.into_iter().map(|why| (line, why)));
            return;
        };
        // A cell that is not there is a separator that was forgotten, and then all behind it stand in the wrong column.
        if let Some(missing) = columns.get(record.len()).filter(|_| errors.is_empty()) {
            let (has, wants) = (record.len(), columns.len());
            errors.push(format!(
                "has {has} of the {wants} cells of the first line: there is none for '{}'",
                missing.name()
            ));
        }
        let named = listed.host.interfaces[0].name.clone();
        match index.get(&listed.host.name) {
            Some(&at) => {
                let first = &mut self.hosts[at];
                if named.is_empty() {
                    let begun = first.lines[0];
                    errors.push(format!("host '{}' is in line {begun} already: name the interface", listed.host.name));
                } else if let Err(why) = merge(first, listed) {
                    errors.push(why);
                }
                first.lines.push(line);
            }
            None => {
                if named.is_empty() {
                    listed.host.interfaces[0].name = DEFAULT_INTERFACE.to_owned();
                }
                errors.extend(fill_from_name(&mut listed.host, appliance).err());
                index.insert(listed.host.name.clone(), self.hosts.len());
                self.hosts.push(listed);
            }
        }
        self.errors.extend(errors.into_iter().map(|why| (line, why)));
    }
}

/// Gives a host what its name tells (`compute-3-17`: appliance, rack, rank) where nothing else told it.
pub fn fill_from_name(host: &mut Host, appliance: Option<&str>) -> Result<(), String> {
    let parts = host.name.parts().map(|(appliance, rack, rank)| (appliance.to_owned(), rack, rank));
    if host.appliance.is_empty() {
        match (appliance, &parts) {
            (Some(appliance), _) => host.appliance = appliance.to_owned(),
            (None, Some((appliance, _, _))) => host.appliance.clone_from(appliance),
            (None, None) => return Err(format!("host '{}' has no appliance", host.name)),
        }
    }
    if let Some((_, rack, rank)) = parts {
        host.rack = host.rack.or(Some(rack));
        host.rank = host.rank.or(Some(rank));
    }
    Ok(())
}

/// The line that a record begins in, from 1. The reader's own position is that before the empty lines and remarks
/// which it skipped.
fn line_at(text: &str, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let rest = text.get(position.byte() as usize..).unwrap_or_default();
    let skipped = rest.lines().take_while(|line| line.is_empty() || line.starts_with('#')).count();
    position.line() + skipped as u64
}

fn delimiter(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.starts_with('#')).unwrap_or("");
    [b',', b';', b'\t'].into_iter().find(|mark| header.as_bytes().contains(mark)).unwrap_or(b',')
}

fn read_columns(record: &csv::StringRecord) -> Result<Vec<Column>, Vec<String>> {
    let mut errors = Vec::new();
    let mut columns = Vec::new();
    for (i, cell) in record.iter().enumerate() {
        if record.iter().take(i).any(|other| other.eq_ignore_ascii_case(cell)) {
            errors.push(format!("column '{cell}' is there twice"));
        }
        columns.push(match cell.to_ascii_lowercase().as_str() {
            "name" => Column::Name,
            "appliance" => Column::Appliance,
            "rack" => Column::Rack,
            "rank" => Column::Rank,
            "mac" => Column::Mac,
            "ip" => Column::Ip,
            "interface" => Column::Interface,
            "network" => Column::Network,
            _ => match AttributeName::parse(cell) {
                Ok(name) => Column::Attribute(name),
                Err(error) => {
                    errors.push(format!("column {}: {error}", i + 1));
                    continue;
                }
            },
        });
    }
    if !columns.iter().any(|column| matches!(column, Column::Name)) {
        errors.push("the first line names the columns, and one of them must be 'name'".to_owned());
    }
    if errors.is_empty() { Ok(columns) } else { Err(errors) }
}

/// Reads the cells of a line; what is wrong goes to `errors`. None where the line cannot even be a host. An interface
/// that is not named has an empty name.
fn read_line(
    line: u64,
    columns: &[Column],
    record: &csv::StringRecord,
    errors: &mut Vec<String>,
) -> Option<ListedHost> {
    fn note<T, E: ToString>(result: Result<T, E>, errors: &mut Vec<String>) -> Option<T> {
        result.map_err(|error| errors.push(error.to_string())).ok()
    }
    let number = |noun: &str, cell: &str| cell.parse::<u32>().map_err(|_| format!("{noun} '{cell}' is not a number"));
    let mut name = None;
    let mut host = (None, None, String::new());
    let mut interface = Interface { name: String::new(), mac: None, ip: None, network: None };
    let mut attributes = Vec::new();
    for (column, cell) in columns.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty()) {
        match column {
            Column::Name => name = note(HostName::parse(cell), errors),
            Column::Appliance => cell.clone_into(&mut host.2),
            Column::Rack => host.0 = note(number("rack", cell), errors),
            Column::Rank => host.1 = note(number("rank", cell), errors),
            Column::Mac => interface.mac = note(MacAddress::parse(cell), errors),
            Column::Ip => {
                let ip = cell.parse::<IpAddr>().map_err(|_| format!("address '{cell}' is not an IP address"));
                interface.ip = note(ip, errors);
            }
            Column::Interface => {
                if note(Interface::check_name(cell), errors).is_some() {
                    cell.clone_into(&mut interface.name);
                }
            }
            Column::Network => interface.network = note(NetworkName::parse(cell), errors),
            Column::Attribute(name) => attributes.push((name.clone(), cell.to_owned())),
        }
    }
    let Some(name) = name else {
        if errors.is_empty() {
            errors.push("has no name".to_owned());
        }
        return None;
    };
    let host = Host { name, appliance: host.2, rack: host.0, rank: host.1, interfaces: vec![interface] };
    Some(ListedHost { host, attributes, lines: vec![line] })
}

/// Adds the interface and the attributes of a later line to its host. What both tell must be the same.
fn merge(first: &mut ListedHost, later: ListedHost) -> Result<(), String> {
    let (name, begun) = (&first.host.name, first.lines[0]);
    let differs = |what: &str| Err(format!("{what} of host '{name}' is not the one of line {begun}"));
    if !later.host.appliance.is_empty() && later.host.appliance != first.host.appliance {
        return differs("appliance");
    }
    if later.host.rack.is_some() && later.host.rack != first.host.rack {
        return differs("rack");
    }
    if later.host.rank.is_some() && later.host.rank != first.host.rank {
        return differs("rank");
    }
    for (attribute, value) in later.attributes {
        match first.attributes.iter().find(|(other, _)| *other == attribute) {
            Some((_, other)) if *other != value => return differs(&format!("attribute '{attribute}'")),
            Some(_) => {}
            None => first.attributes.push((attribute, value)),
        }
    }
    for interface in later.host.interfaces {
        if first.host.interfaces.iter().any(|other| other.name == interface.name) {
            return Err(format!("interface '{}' of host '{name}' is there twice", interface.name));
        }
        first.host.interfaces.push(interface);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_an_interface_and_other_columns_are_attributes() {
        let text = "name,mac,ip,interface,site\n\
                    compute-0-0,52:54:00:00:00:01,10.1.0.1,,lab\n\
                    # a remark\n\
                    \n\
                    compute-0-0,52:54:00:00:00:02,,ib0,\n\
                    \"login\",,10.1.0.3,,\n";
        let list = HostList::parse(text, Some("login"));
        assert_eq!(list.errors, []);
        let [compute, login] = &list.hosts[..] else { panic!("{:?}", list.hosts) };
        assert_eq!(compute.host.appliance, "login", "the default of the list goes before the name");
        assert_eq!((compute.host.rack, compute.host.rank), (Some(0), Some(0)));
        assert_eq!(compute.host.interfaces.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["eth0", "ib0"]);
        assert_eq!(compute.lines, [2, 5]);
        assert_eq!(compute.attributes, [(AttributeName::parse("site").unwrap(), "lab".to_owned())]);
        assert_eq!(login.host.interfaces[0].ip.map(|ip| ip.to_string()).as_deref(), Some("10.1.0.3"));
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        let text = "NAME;APPLIANCE;MAC;IP;RACK\n\
                    compute-0-0;compute;52:54:00:00:00:01;10.1.0.1;0\n\
                    compute_0;compute;52:54:00:00:00:02;10.1.0.2;0\n\
                    compute-0-2;compute;52:54:00:00:00;10.1.0;x\n\
                    ;compute;;;\n\
                    compute-0-0;compute;;;\n\
                    alone;;;;\n\
                    compute-0-5;compute;;;;;\n";
        let list = HostList::parse(text, None);
        let lines: Vec<u64> = list.errors.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 4, 4, 5, 6, 7, 8], "{:?}", list.errors);
        assert_eq!(list.hosts, [], "a host with a bad line is not taken in part");
    }

    #[test]
    fn a_line_with_too_few_cells_names_the_first_that_is_missing() {
        let list =
            HostList::parse("name,mac,ip,site\ncompute-0-0,52:54:00:00:00:01\n\n  \ncompute-0-1,,10.1.0.1,\n", None);
        assert_eq!(list.errors, [(2, "has 2 of the 4 cells of the first line: there is none for 'ip'".to_owned())]);
        let list = HostList::parse("name,Site_A\ncompute-0-0\n", None);
        assert_eq!(list.errors, [(2, "has 1 of the 2 cells of the first line: there is none for 'Site_A'".to_owned())]);
    }

    #[test]
    fn a_wrong_first_line_is_one_error() {
        for (text, why) in [
            ("", "is empty"),
            ("mac,ip\n", "must be 'name'"),
            ("name,name\n", "is there twice"),
            ("name,a b\n", "column 2"),
        ] {
            let list = HostList::parse(text, None);
            assert!(list.errors.len() == 1 && list.errors[0].1.contains(why), "{text}: {:?}", list.errors);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(name,mac,ip\n)?[a-c0-9:.,;\"\n# é-]{0,80}") {
            HostList::parse(&text, Some("compute"));
        }
    }
}
