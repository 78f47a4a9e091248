# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rocks_global_optspecs
    string join \n cluster= h/help V/version
end

function __fish_rocks_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rocks_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rocks_using_subcommand
    set -l cmd (__fish_rocks_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rocks -n "__fish_rocks_needs_command" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_needs_command" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_needs_command" -s V -l version -d 'Print version'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "add-appliance" -d 'Add an appliance: a kind of machine'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "add-distribution" -d 'Add a distribution: publish a tree of packages, or publish it again after it has changed'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "add-host" -d 'Add hosts to the cluster database'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "add-interface" -d 'Add a network interface to a host'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "add-network" -d 'Add a network'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "check" -d 'Find what would fail at install time: in graph and node files, in the Kickstart of hosts, in any Kickstart file'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "compile-graph" -d 'Compile the configuration graph of a host into its profile (XML)'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "demo" -d 'Install a throw-away cluster on this machine and measure it'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "diff-host" -d 'Show what a change does to the Kickstart of hosts, before it is made'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "explain" -d 'Say why an attribute, a node, a package or a line is in the installation of a host'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "export" -d 'Write the whole cluster database as readable JSON'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "fetch" -d 'Fetch this machine\'s Kickstart file and packages, and share them with the other machines'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "generate" -d 'Write the man pages and the shell completions into a folder'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "import" -d 'Read a cluster database that \'rocks export\' wrote'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "kickstart" -d 'Turn a profile into a Kickstart file'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "list-appliance" -d 'List appliances: kinds of machines'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "list-attribute" -d 'List attributes: all that are set, or what some hosts see and where each value comes from'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "list-distribution" -d 'List distributions, or the packages that a package list installs from one'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "list-graph" -d 'List or draw the configuration graph, all of it or as it counts for a host'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "list-host" -d 'List hosts with their interfaces and what they do when they next start'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "list-network" -d 'List networks'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "log" -d 'Show who changed the cluster, when and how, the newest last'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "remove-appliance" -d 'Remove appliances that no host is'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "remove-attribute" -d 'Remove attributes from a scope'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "remove-distribution" -d 'Remove distributions that no appliance names; their trees stay as they are'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "remove-host" -d 'Remove hosts with their interfaces and attributes'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "remove-interface" -d 'Remove network interfaces of a host'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "remove-network" -d 'Remove networks that no interface is in'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "report-dhcp" -d 'Print the lines for dnsmasq that lead machines to their installer'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "serve" -d 'Serve profiles and packages to machines that install, and seed their swarm'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "set-attribute" -d 'Set attributes of all hosts, of an operating system, of an appliance or of some hosts'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "set-boot" -d 'Tell hosts what to do when they next start: install themselves, or start the system on their disk'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "set-host" -d 'Change hosts: a new MAC address for a replaced card, a new name, another appliance'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "simulate" -d 'Simulate an installation of many machines with the very code that runs on them'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "status" -d 'Show how installations go, failures first'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "track" -d 'Tell installing machines of each other: the BitTorrent tracker of the cluster'
complete -c rocks -n "__fish_rocks_needs_command" -f -a "trust-roll" -d 'Let the scripts of rolls run on the frontend when profiles are compiled'
complete -c rocks -n "__fish_rocks_using_subcommand add-appliance" -l root -d 'The node of the graph that its hosts\' configuration begins at [default: its name]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-appliance" -l distribution -d 'The distribution it installs [default: the cluster\'s first]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-appliance" -l os -d 'The operating system of its hosts' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-appliance" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand add-appliance" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand add-distribution" -l release -d 'The release its Kickstart files are for: rocks7, rhel7, rhel8, rhel9, rhel10 or fedora [default: as before]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-distribution" -l arch -d 'The architecture of its machines: x86_64 or aarch64 [default: as before, else x86_64]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-distribution" -l gpg-key -d 'Every package must be signed with one of the OpenPGP keys in these files [default: the keys given before]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand add-distribution" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand add-distribution" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l from -d 'Read the hosts from this CSV file, or from standard input where it is \'-\'' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l appliance -d 'What they are [default: what the name tells, such as compute for compute-0-0]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l mac -d 'Hardware address of the interface they install over' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l ip -d 'Address; with several hosts that of the first, the others follow it' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l interface -d 'Name of that interface' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l network -d 'Network of that interface [default: the one the address is in]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l rack -d 'Rack they stand in [default: what the name tells]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l rank -d 'Place in the rack [default: what the name tells]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l attr -d 'Set an attribute of these hosts' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l boot -d 'What they do when they next start' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand add-host" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand add-interface" -l mac -d 'Its hardware address' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-interface" -l ip -d 'Its address' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-interface" -l network -d 'Its network [default: the one the address is in]' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-interface" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand add-interface" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand add-network" -l mtu -d 'The largest packet on it, in bytes' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-network" -l zone -d 'The domain of its hosts\' names' -r
complete -c rocks -n "__fish_rocks_using_subcommand add-network" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand add-network" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand check" -l release -d 'The release of the installer [default: each host\'s own; rhel9 for a file]' -r
complete -c rocks -n "__fish_rocks_using_subcommand check" -l distribution -d 'Where packages and groups of a file must be: a distribution\'s name, or a folder with repodata/ [default: the cluster\'s, where it has one for the release]' -r
complete -c rocks -n "__fish_rocks_using_subcommand check" -l graphs -d 'For hosts: with the configuration in this folder (graphs/, nodes/) instead of the cluster\'s' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand check" -l templates -d 'For hosts: with the templates in this folder instead of the cluster\'s' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand check" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand check" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand check" -l no-scripts -d 'Do not let bash read the scripts'
complete -c rocks -n "__fish_rocks_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l root -d 'Without a host: the node of the graph to begin at' -r
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l graphs -d 'The folder with graphs/ and nodes/ [default: the cluster\'s own graphs/ over those we ship]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l attributes -d 'Without a host: its attributes as a JSON object of texts' -r
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l rolls -d 'Only what nodes of these rolls say' -r
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l generator -d 'What the profile is for: nodes ordered for another generator alone are left out' -r
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l evals -d 'The scripts of rolls: off, run, replay:FILE or record:FILE (runs them) [default: those of trusted rolls run for a host, else off]' -r
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l evals-allow -d 'Attributes that may go into a script whatever their value means to a shell' -r
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -l nodes -d 'Print the nodes in order instead of the profile: name, roll and file, separated by tabs'
complete -c rocks -n "__fish_rocks_using_subcommand compile-graph" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand demo" -l machines -d 'How many machines install' -r
complete -c rocks -n "__fish_rocks_using_subcommand demo" -l rate -d 'What each link carries in each direction, the frontend\'s and the machines\'' -r
complete -c rocks -n "__fish_rocks_using_subcommand demo" -l size -d 'How large the distribution is' -r
complete -c rocks -n "__fish_rocks_using_subcommand demo" -l output -d 'Where rocks-demo.svg and rocks-demo.html are written' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand demo" -l format -d 'How the numbers are printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand demo" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l attr -d 'With this attribute instead of the one that holds today' -r
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l without-attr -d 'Without this attribute' -r
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l graphs -d 'With the configuration in this folder (graphs/, nodes/) instead of the cluster\'s' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l templates -d 'With the templates in this folder instead of the cluster\'s' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l release -d 'For this release of the installer instead of the host\'s own' -r
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l against -d 'Begin at this Kickstart file instead of what the cluster makes now; \'-\' is standard input' -r
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand diff-host" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand explain" -l graphs -d 'The folder with graphs/ and nodes/ [default: the cluster\'s own graphs/ over those we ship]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand explain" -l release -d 'For a line\'s number: the release of the Kickstart file [default: the host\'s own]' -r
complete -c rocks -n "__fish_rocks_using_subcommand explain" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand explain" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand export" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l frontend -d 'The frontend, as in http://10.1.1.1:8080' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l kickstart -d 'Write the Kickstart file here' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l cache -d 'Keep packages here; the folder goes with the program [default: a temporary folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l proxy -d 'Serve the installer here [default: 127.0.0.1:7180; nowhere with --exit-when-complete]' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l bind -d 'Connect from this address, and let peers come to it [default: the system\'s choice]' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l linger -d 'With --exit-when-complete: serve other machines for so long before the end' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l rate -d 'Send no more than this, and receive no more, such as 100mbit [default: no limit]' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l peer-port -d 'The port that other machines come to; 0 for any' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l summary -d 'Write bytes and seconds here as JSON, the moment the set is complete' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l patience -d 'Ask a frontend that does not answer for so long' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l key -d 'Take only a distribution that this key has signed (64 hexadecimal digits) [default: the frontend\'s, as it says]' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l token -d 'The token of this installation, from the machine\'s boot script [default: the frontend is asked for it]' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l authority -d 'The certificate of the cluster\'s authority (PEM): no other frontend is believed' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l pin -d 'The same by its fingerprint, as rocks serve logs it (64 hexadecimal digits)' -r
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l exit-when-complete -d 'End when the set is complete, rather than when the machine starts anew'
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l http-only -d 'Fetch everything from the frontend over HTTP, without other machines'
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l everything -d 'Fetch the whole distribution instead of this machine\'s install set'
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -l plain -d 'Speak plain HTTP only, token and profile included: for a frontend that serves with --security open'
complete -c rocks -n "__fish_rocks_using_subcommand fetch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand generate" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand generate" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand import" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand import" -l replace -d 'Replace everything in the cluster database that is there'
complete -c rocks -n "__fish_rocks_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand kickstart" -l release -d 'The release of the installer: rocks7, rhel7, rhel8, rhel9, rhel10, fedora [default: the profile\'s attribute kickstart_release, else rhel9]' -r
complete -c rocks -n "__fish_rocks_using_subcommand kickstart" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand kickstart" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand list-appliance" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand list-appliance" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-appliance" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand list-attribute" -l host -d 'For these hosts only, as a node set' -r
complete -c rocks -n "__fish_rocks_using_subcommand list-attribute" -l appliance -d 'For the hosts of this appliance' -r
complete -c rocks -n "__fish_rocks_using_subcommand list-attribute" -l os -d 'For the hosts of this operating system' -r
complete -c rocks -n "__fish_rocks_using_subcommand list-attribute" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand list-attribute" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-attribute" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand list-distribution" -l install -d 'Print the packages that this line of %packages installs with all they need: a name, a pattern, @group, @^environment, -name, -@group; may be given several times' -r
complete -c rocks -n "__fish_rocks_using_subcommand list-distribution" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand list-distribution" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-distribution" -l exclude-weakdeps -d 'With --install: leave out packages that are only recommended'
complete -c rocks -n "__fish_rocks_using_subcommand list-distribution" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand list-graph" -l format -d 'How it is shown' -r -f -a "table\t'A line for each edge'
json\t'JSON for programs'
dot\t'The language of Graphviz'
svg\t'A picture'"
complete -c rocks -n "__fish_rocks_using_subcommand list-graph" -l graph -d 'The graph\'s name [default: the host\'s attribute \'graph\', else default]' -r
complete -c rocks -n "__fish_rocks_using_subcommand list-graph" -l graphs -d 'The folder with graphs/ and nodes/ [default: the cluster\'s own graphs/ over those we ship]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-graph" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-graph" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand list-host" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand list-host" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-host" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand list-network" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand list-network" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand list-network" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand log" -s n -l limit -d 'Show at most this many changes' -r
complete -c rocks -n "__fish_rocks_using_subcommand log" -l format -d 'How the listing is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand log" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand remove-appliance" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand remove-appliance" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand remove-attribute" -l host -d 'For these hosts only, as a node set' -r
complete -c rocks -n "__fish_rocks_using_subcommand remove-attribute" -l appliance -d 'For the hosts of this appliance' -r
complete -c rocks -n "__fish_rocks_using_subcommand remove-attribute" -l os -d 'For the hosts of this operating system' -r
complete -c rocks -n "__fish_rocks_using_subcommand remove-attribute" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand remove-attribute" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand remove-distribution" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand remove-distribution" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand remove-host" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand remove-host" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand remove-interface" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand remove-interface" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand remove-network" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand remove-network" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand report-dhcp" -l frontend -d 'Where \'rocks serve\' can be reached [default: where it ran last]' -r
complete -c rocks -n "__fish_rocks_using_subcommand report-dhcp" -l tftp-root -d 'The folder of the iPXE loaders, on the machine that runs dnsmasq' -r
complete -c rocks -n "__fish_rocks_using_subcommand report-dhcp" -l http-loader -d 'The URL of an iPXE loader, for firmware that boots over HTTP' -r
complete -c rocks -n "__fish_rocks_using_subcommand report-dhcp" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand report-dhcp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand serve" -l listen -d 'Where to listen for HTTP' -r
complete -c rocks -n "__fish_rocks_using_subcommand serve" -l peer-port -d 'The port to listen at for BitTorrent peers, at the same address' -r
complete -c rocks -n "__fish_rocks_using_subcommand serve" -l rate -d 'Send no more than this, such as 1gbit or 100MB/s [default: no limit]' -r
complete -c rocks -n "__fish_rocks_using_subcommand serve" -l security -d 'What a machine must show for its profile; this machine itself (loopback) is exempt unless strict' -r -f -a "open\t'Nothing: its address or a card it names is enough, over plain HTTP'
guarded\t'The token of its installation, over TLS with the cluster\'s own authority'
strict\t'The same over loopback too, and the token from its boot script alone'"
complete -c rocks -n "__fish_rocks_using_subcommand serve" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand set-attribute" -l host -d 'For these hosts only, as a node set' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-attribute" -l appliance -d 'For the hosts of this appliance' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-attribute" -l os -d 'For the hosts of this operating system' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-attribute" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand set-attribute" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand set-boot" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand set-boot" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l name -d 'Give the host this name' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l appliance -d 'Make them this' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l rack -d 'Rack they stand in' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l rank -d 'Place in the rack' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l mac -d 'Hardware address of the interface' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l ip -d 'Address of the interface' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l network -d 'Network of the interface [default: the one the address is in]' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l interface -d 'Which interface [default: the one the host installs over]' -r
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand set-host" -s h -l help -d 'Print help'
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l scenario -d 'A known case: the two rows of the Avalanche paper\'s Table 1; sets machines, size, links and unpacking' -r -f -a "meteor\t'44 machines, 100 Mbit'
rockstar\t'128 machines, 1 Gbit'"
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l machines -d 'How many machines install' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l size -d 'What an appliance\'s install set weighs' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l piece-length -d 'The length of a piece [default: what fits the distribution]' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l link -d 'A machine\'s link, each way' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l frontend-link -d 'The frontend\'s link, each way [default: as a machine\'s]' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l rack-size -d 'Machines in a rack, where racks have uplinks of their own' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l uplink -d 'A rack\'s link to the rest, each way' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l latency -d 'Time for a message from one machine to another, in milliseconds' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l start-spread -d 'Machines start spread over this time [default: 0.002]' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l appliances -d 'How many appliances there are; machines take them in turn' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l overlap -d 'The share of a set that all appliances have in common' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l unpack -d 'The time to unpack a whole set [default: 0, the network\'s part alone]' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l loss -d 'Share of packets lost' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l slow -d 'Share of machines whose links have a tenth of the rate' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l dying -d 'Share of machines that lose power in mid-install' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l late -d 'Share of machines that start when the others should be done' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l poisoning -d 'Share of machines that send wrong bytes' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l tracker-dies -d 'The tracker is gone after this time' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l frontend-dies -d 'The frontend is gone after this time' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l seed -d 'Feeds every random choice' -r
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l svg -d 'Draw what left the frontend over time into this file' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l format -d 'How the result is printed' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -l leave -d 'Machines reboot as soon as they are done, instead of serving on'
complete -c rocks -n "__fish_rocks_using_subcommand simulate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand status" -l rows -d 'With --watch on a terminal: show no more machines than this' -r
complete -c rocks -n "__fish_rocks_using_subcommand status" -l frontend -d 'The frontend to ask [default: where rocks serve said it listens]' -r
complete -c rocks -n "__fish_rocks_using_subcommand status" -l format -d 'How to print' -r -f -a "table\t'Columns for people'
json\t'JSON for programs'"
complete -c rocks -n "__fish_rocks_using_subcommand status" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand status" -l watch -d 'Go on showing, once a second, until Ctrl-C; once it has answered, a frontend may be away for a while'
complete -c rocks -n "__fish_rocks_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand track" -l listen -d 'Where to listen, for TCP and UDP' -r
complete -c rocks -n "__fish_rocks_using_subcommand track" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand track" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rocks -n "__fish_rocks_using_subcommand trust-roll" -l graphs -d 'The folder with their nodes/, where they are not in the cluster\'s configuration yet' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand trust-roll" -l cluster -d 'Where the cluster lives: rocks.redb, keys/ and the site\'s own graphs/ and templates/ [default: /var/lib/rocks for root, else the user\'s data folder]' -r -F
complete -c rocks -n "__fish_rocks_using_subcommand trust-roll" -l revoke -d 'Trust them no longer'
complete -c rocks -n "__fish_rocks_using_subcommand trust-roll" -s h -l help -d 'Print help'
