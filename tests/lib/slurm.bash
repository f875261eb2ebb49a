# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A private Slurm cluster: munged, slurmctld and some slurmd, with directories, ports, network
# and PID namespaces of their own. The caller runs in its own PID, mount and network namespaces as root
# (own_namespaces of tests/long/lib.bash, or bench/run). No service or file of the system is touched.

# slurm_missing: prints the first program that is not installed
slurm_missing()
{
	local p
	for p in munged slurmctld slurmd sbatch scontrol squeue; do
		[[ -n $(PATH=$PATH:/usr/sbin type -P "$p") ]] || { echo "$p (tools/quickstart install check-long)"; return; }
	done
}

# slurm_in_cgroups SCRIPT [ARGUMENT...]: starts the script again in cgroups (version 1) and a cgroup namespace of its
# own, if the host has these controllers. Afterwards removes the cgroups, and ends with the script's status.
slurm_in_cgroups()
{
	local controller path name=lguest-farm.$$ status=0 made=()
	[[ -z ${SLURM_CGROUPS:-} ]] || return 0
	((EUID == 0)) || return 0
	for controller in freezer memory cpuset cpuacct cpu devices; do
		path=$(awk -F: -v c="$controller" '{ n = split($2, names, ","); for (i = 1; i <= n; i++) if (names[i] == c) print $3 }' /proc/self/cgroup)
		path=/sys/fs/cgroup/$controller${path%/}/$name
		[[ -d ${path%/*} ]] && mkdir "$path" 2> /dev/null || continue
		made+=("$path")
		if [[ $controller == cpuset ]]; then
			cat "${path%/*}/cpuset.cpus" > "$path/cpuset.cpus"
			cat "${path%/*}/cpuset.mems" > "$path/cpuset.mems"
		fi
	done
	(
		for path in "${made[@]}"; do
			echo "$BASHPID" > "$path/cgroup.procs"
		done
		SLURM_CGROUPS=1 exec unshare --cgroup "$@"
	) || status=$?
	for path in "${made[@]}"; do
		find "$path" -depth -type d -exec rmdir {} + 2> /dev/null
	done
	exit "$status"
}

# slurm_start DIR NODES PROCESSORS: starts the cluster with nodes n1, n2..., each of which offers so many processors
slurm_start()
{
	slurm=$1
	local i nodes=$2 user
	mkdir -p "$slurm"/{etc,state,spool,munge,log,cgroup}
	cp /etc/passwd "$slurm/etc/passwd"
	echo "student:x:7001:7001::$slurm:/bin/bash" >> "$slurm/etc/passwd"
	cp /etc/group "$slurm/etc/group"
	echo "student:x:7001:" >> "$slurm/etc/group"
	echo "127.0.0.1 localhost" > "$slurm/etc/hosts"
	echo "10.97.0.1 head" >> "$slurm/etc/hosts"
	for ((i = 1; i <= nodes; i++)); do
		echo "10.97.0.$((i + 1)) n$i" >> "$slurm/etc/hosts"
	done
	for user in passwd group hosts; do
		mount --bind "$slurm/etc/$user" "/etc/$user" || return
	done
	slurm_config "$nodes" "$3" || return
	ip link add slurm0 type bridge && ip addr add 10.97.0.1/24 dev slurm0 && ip link set slurm0 up || return

	# munged refuses keys and sockets in directories that others may write to.
	head -c 1024 /dev/urandom > "$slurm/munge/key"
	chmod 600 "$slurm/munge/key"
	munged --force --foreground --key-file="$slurm/munge/key" --socket="$slurm/munge/socket" --pid-file="$slurm/munge/pid" \
		--log-file="$slurm/log/munged" --seed-file="$slurm/munge/seed" > "$slurm/log/munged.out" 2>&1 &
	wait_until test -S "$slurm/munge/socket" || return
	export SLURM_CONF=$slurm/etc/slurm.conf
	unshare --uts sh -c 'hostname head; exec slurmctld -D -i' > "$slurm/log/slurmctld.out" 2>&1 &
	for ((i = 1; i <= nodes; i++)); do
		slurm_node "$i" || return
	done
	wait_until slurm_idle "$nodes"
}

slurm_idle() # NODES
{
	[[ $(sinfo -h -N -t idle -o %N | wc -l) == "$1" ]]
}

slurm_config() # NODES PROCESSORS
{
	local track=linuxproc task=none controller
	if slurm_cgroups; then
		track=cgroup task=cgroup
		cat > "$slurm/etc/cgroup.conf" <<-END
			CgroupPlugin=cgroup/v1
			CgroupMountpoint=$slurm/cgroup
			CgroupAutomount=no
			ConstrainRAMSpace=yes
			ConstrainSwapSpace=no
			ConstrainCores=no
		END
	fi
	cat > "$slurm/etc/slurm.conf" <<-END
		ClusterName=private
		SlurmctldHost=head(10.97.0.1)
		SlurmctldPort=26817
		SlurmdPort=26818
		SlurmUser=root
		AuthType=auth/munge
		AuthInfo=socket=$slurm/munge/socket,cred_expire=5
		StateSaveLocation=$slurm/state
		SlurmdSpoolDir=$slurm/spool/%n
		SlurmctldPidFile=$slurm/log/slurmctld.pid
		SlurmdPidFile=$slurm/log/slurmd.%n.pid
		SlurmctldLogFile=$slurm/log/slurmctld
		SlurmdLogFile=$slurm/log/slurmd.%n
		ProctrackType=proctrack/$track
		TaskPlugin=task/$task
		JobAcctGatherType=jobacct_gather/none
		MailProg=/bin/true
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU_Memory
		SchedulerParameters=sched_interval=2,batch_sched_delay=0
		SchedulerType=sched/backfill
		SlurmdTimeout=5
		KillWait=5
		MinJobAge=2
		ReturnToService=2
		InactiveLimit=0
		MaxArraySize=1001
		NodeName=n[1-$1] CPUs=$2 RealMemory=4096 State=UNKNOWN
		PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
	END
}

# Mounts the version 1 controllers that Slurm uses; fails if the host has none. In a cgroup namespace
# their root is the cgroup of the test (slurm_cgroup_enter), so Slurm's cgroups are below that.
slurm_cgroups()
{
	local controller
	mount -t tmpfs none "$slurm/cgroup" || return
	for controller in freezer memory cpuset cpuacct cpu devices; do
		mkdir "$slurm/cgroup/$controller"
		mount -t cgroup -o "$controller" none "$slurm/cgroup/$controller" 2> /dev/null || return
	done
}

# slurm_node N: starts node N in namespaces of its own; its process 1 is slurm_node_pid[N]
slurm_node()
{
	local pid
	mkdir -p "$slurm/spool/n$1"
	ip link del "node$1" 2> /dev/null
	mkfifo "$slurm/go.$1"
	unshare -pfmnu --mount-proc --kill-child bash -c '
		hostname "n$1"
		read -r go < "$2/go.$1"
		ip link set lo up
		ip addr add "10.97.0.$(($1 + 1))/24" dev eth0 && ip link set eth0 up
		exec slurmd -D -N "n$1"' node "$1" "$slurm" > "$slurm/log/node$1" 2>&1 &
	slurm_node_pid[$1]=$!
	wait_until pgrep -P "${slurm_node_pid[$1]}" || return
	pid=$(pgrep -P "${slurm_node_pid[$1]}")
	ip link add "node$1" type veth peer name eth0 netns "$pid" && ip link set "node$1" master slurm0 up || return
	echo go > "$slurm/go.$1"
	rm "$slurm/go.$1"
}

# slurm_node_dies N: all processes of the node end at once, with its network
slurm_node_dies()
{
	kill -KILL "${slurm_node_pid[$1]}"
	wait "${slurm_node_pid[$1]}" 2> /dev/null
}

# Ends the cluster. unshare(1) ignores SIGTERM while it waits, so its processes end with SIGKILL.
slurm_stop()
{
	local pids
	pids=$(jobs -p)
	# shellcheck disable=SC2086 # several numbers
	{ kill -KILL $pids; wait; } 2> /dev/null
}
