# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ecs_start_task_global_optspecs
    string join \n t/task-definition= cli-input-json= cluster= started-by= if-running= restart= when-draining= config= dry-run no-wait timeout= o/output= log-file= state-dir= v/verbose q/quiet agent-url= endpoint-url= ca-bundle= log-level= h/help V/version
end

function __fish_ecs_start_task_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ecs_start_task_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ecs_start_task_using_subcommand
    set -l cmd (__fish_ecs_start_task_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -s t -l task-definition -d 'Task definition to start: family, family:revision or ARN. Repeatable; replaces what is configured [setting: ECS_START_TASK_DEFINITION]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l cli-input-json -d 'StartTask request document (a path or the JSON itself), as `aws ecs start-task --generate-cli-skeleton` prints one, without containerInstances and empty members. Repeatable; replaces what is configured, and can be combined with -t' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l cluster -d 'Fail unless the agent is in this cluster (name or ARN)' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l started-by -d 'startedBy of the tasks [default: the ID of the container instance] [setting: ECS_START_TASK_STARTED_BY]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l if-running -d 'What to do when a task of the family is already running here: skip it, or start another [default: skip] [setting: ECS_START_TASK_IF_RUNNING]' -r -f -a "skip\t''
start\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l restart -d 'Keep the tasks running: restart those that stopped [default: no] [setting: ECS_START_TASK_RESTART]' -r -f -a "no\t''
on-failure\t''
always\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l when-draining -d 'What to do with our own tasks when the instance is drained or terminated: keep, or stop them last [default: keep] [setting: ECS_START_TASK_WHEN_DRAINING]' -r -f -a "keep\t''
stop\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l config -d 'Settings file [default: /etc/ecs/ecs-start-task.conf]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l timeout -d 'Limit for the whole run, such as 90s or 15m [default: 15m] [setting: ECS_START_TASK_TIMEOUT]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -s o -l output -d 'Format of the result on stdout' -r -f -a "text\t''
json\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l log-file -d 'Log file [default: /var/log/ecs/ecs-start-task.log] [setting: ECS_START_TASK_LOG_FILE]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l state-dir -d 'Directory of the lock and the records of this boot [default: /run/ecs-start-task] [setting: ECS_START_TASK_STATE_DIR]' -r -f -a "(__fish_complete_directories)"
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l agent-url -d 'The ECS agent\'s introspection API [default: http://127.0.0.1:51678] [setting: ECS_START_TASK_AGENT_URL]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l endpoint-url -d 'ECS endpoint, instead of that of the instance\'s Region [setting: AWS_ENDPOINT_URL_ECS]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l ca-bundle -d 'PEM file with the certificates to trust, instead of the system\'s [setting: AWS_CA_BUNDLE]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l log-level -d 'Level of the log: error, warn, info, debug or trace [default: info] [setting: ECS_START_TASK_LOG_LEVEL]' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l dry-run -d 'Print the StartTask requests without sending them; whether the tasks are already running is not checked'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -l no-wait -d 'Return as soon as ECS has accepted, without waiting until the tasks run [setting: ECS_START_TASK_WAIT=none]'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -s v -l verbose -d 'Log more (-v: the HTTP status of each response; -vv: also each request, and the request IDs of ECS)'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -s q -l quiet -d 'Log only warnings and errors; check prints only warnings and failures'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -s V -l version -d 'Print version'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -f -a "check" -d 'Check what works and what does not, and how to fix it; starts nothing'
complete -c ecs-start-task -n "__fish_ecs_start_task_needs_command" -f -a "status" -d 'Show what became of the configured tasks in this boot'
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -s t -l task-definition -d 'Task definition to start: family, family:revision or ARN. Repeatable; replaces what is configured [setting: ECS_START_TASK_DEFINITION]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l cli-input-json -d 'StartTask request document (a path or the JSON itself), as `aws ecs start-task --generate-cli-skeleton` prints one, without containerInstances and empty members. Repeatable; replaces what is configured, and can be combined with -t' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l cluster -d 'Fail unless the agent is in this cluster (name or ARN)' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l started-by -d 'startedBy of the tasks [default: the ID of the container instance] [setting: ECS_START_TASK_STARTED_BY]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l if-running -d 'What to do when a task of the family is already running here: skip it, or start another [default: skip] [setting: ECS_START_TASK_IF_RUNNING]' -r -f -a "skip\t''
start\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l restart -d 'Keep the tasks running: restart those that stopped [default: no] [setting: ECS_START_TASK_RESTART]' -r -f -a "no\t''
on-failure\t''
always\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l when-draining -d 'What to do with our own tasks when the instance is drained or terminated: keep, or stop them last [default: keep] [setting: ECS_START_TASK_WHEN_DRAINING]' -r -f -a "keep\t''
stop\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l config -d 'Settings file [default: /etc/ecs/ecs-start-task.conf]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -s o -l output -d 'Format of the result on stdout' -r -f -a "text\t''
json\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l log-file -d 'Log file [default: /var/log/ecs/ecs-start-task.log] [setting: ECS_START_TASK_LOG_FILE]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l state-dir -d 'Directory of the lock and the records of this boot [default: /run/ecs-start-task] [setting: ECS_START_TASK_STATE_DIR]' -r -f -a "(__fish_complete_directories)"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l agent-url -d 'The ECS agent\'s introspection API [default: http://127.0.0.1:51678] [setting: ECS_START_TASK_AGENT_URL]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l endpoint-url -d 'ECS endpoint, instead of that of the instance\'s Region [setting: AWS_ENDPOINT_URL_ECS]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l ca-bundle -d 'PEM file with the certificates to trust, instead of the system\'s [setting: AWS_CA_BUNDLE]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -l log-level -d 'Level of the log: error, warn, info, debug or trace [default: info] [setting: ECS_START_TASK_LOG_LEVEL]' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -s v -l verbose -d 'Log more (-v: the HTTP status of each response; -vv: also each request, and the request IDs of ECS)'
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -s q -l quiet -d 'Log only warnings and errors; check prints only warnings and failures'
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -s t -l task-definition -d 'Task definition to start: family, family:revision or ARN. Repeatable; replaces what is configured [setting: ECS_START_TASK_DEFINITION]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l cli-input-json -d 'StartTask request document (a path or the JSON itself), as `aws ecs start-task --generate-cli-skeleton` prints one, without containerInstances and empty members. Repeatable; replaces what is configured, and can be combined with -t' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l cluster -d 'Fail unless the agent is in this cluster (name or ARN)' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l started-by -d 'startedBy of the tasks [default: the ID of the container instance] [setting: ECS_START_TASK_STARTED_BY]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l if-running -d 'What to do when a task of the family is already running here: skip it, or start another [default: skip] [setting: ECS_START_TASK_IF_RUNNING]' -r -f -a "skip\t''
start\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l restart -d 'Keep the tasks running: restart those that stopped [default: no] [setting: ECS_START_TASK_RESTART]' -r -f -a "no\t''
on-failure\t''
always\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l when-draining -d 'What to do with our own tasks when the instance is drained or terminated: keep, or stop them last [default: keep] [setting: ECS_START_TASK_WHEN_DRAINING]' -r -f -a "keep\t''
stop\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l config -d 'Settings file [default: /etc/ecs/ecs-start-task.conf]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -s o -l output -d 'Format of the result on stdout' -r -f -a "text\t''
json\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l log-file -d 'Log file [default: /var/log/ecs/ecs-start-task.log] [setting: ECS_START_TASK_LOG_FILE]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l state-dir -d 'Directory of the lock and the records of this boot [default: /run/ecs-start-task] [setting: ECS_START_TASK_STATE_DIR]' -r -f -a "(__fish_complete_directories)"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l agent-url -d 'The ECS agent\'s introspection API [default: http://127.0.0.1:51678] [setting: ECS_START_TASK_AGENT_URL]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l endpoint-url -d 'ECS endpoint, instead of that of the instance\'s Region [setting: AWS_ENDPOINT_URL_ECS]' -r -f
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l ca-bundle -d 'PEM file with the certificates to trust, instead of the system\'s [setting: AWS_CA_BUNDLE]' -r -F
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -l log-level -d 'Level of the log: error, warn, info, debug or trace [default: info] [setting: ECS_START_TASK_LOG_LEVEL]' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -s v -l verbose -d 'Log more (-v: the HTTP status of each response; -vv: also each request, and the request IDs of ECS)'
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -s q -l quiet -d 'Log only warnings and errors; check prints only warnings and failures'
complete -c ecs-start-task -n "__fish_ecs_start_task_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ecs-start-task -f
