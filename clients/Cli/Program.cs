using Cluster.Cli;
using Cluster.Contracts.Access;

DirectLoopback.Install();
return await CommandLine.RunAsync(args, CliHost.OfProcess(), CancellationToken.None);
