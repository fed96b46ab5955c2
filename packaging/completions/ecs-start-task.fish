complete -c ecs-start-task -s t -l task-definition -d 'Task definition to start: family, family:revision or ARN. Repeatable; replaces what is configured' -r
complete -c ecs-start-task -l cli-input-json -d 'StartTask request document, as `aws ecs start-task --generate-cli-skeleton` prints one. Repeatable; adds to -t' -r
complete -c ecs-start-task -l cluster -d 'Fail unless the agent is in this cluster (name or ARN)' -r
complete -c ecs-start-task -l started-by -d 'startedBy of the tasks [default: the ID of the container instance]' -r
complete -c ecs-start-task -l config -d 'Settings file [default: /etc/ecs/ecs-start-task.conf]' -r -F
complete -c ecs-start-task -l timeout -d 'Limit for the whole run, such as 90s or 15m [default: 15m]' -r
complete -c ecs-start-task -l output -d 'Form of the result on stdout' -r -f -a "text\t''
json\t''"
complete -c ecs-start-task -l log-file -d 'Log file [default: /var/log/ecs/ecs-start-task.log]' -r
complete -c ecs-start-task -l agent-url -d 'The ECS agent\'s introspection API [default: http://127.0.0.1:51678]' -r
complete -c ecs-start-task -l endpoint-url -d 'ECS endpoint, in place of the one of the instance\'s region' -r
complete -c ecs-start-task -l ca-bundle -d 'PEM file with the certificates to trust, in place of the system\'s' -r
complete -c ecs-start-task -l dry-run -d 'Do everything up to the sending, and print what would be sent'
complete -c ecs-start-task -l no-wait -d 'Return as soon as ECS has accepted, without waiting until the tasks run'
complete -c ecs-start-task -s v -l verbose -d 'Say more (-v: each request, -vv: each try)'
complete -c ecs-start-task -s q -l quiet -d 'Say only what is wrong'
complete -c ecs-start-task -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ecs-start-task -s V -l version -d 'Print version'
