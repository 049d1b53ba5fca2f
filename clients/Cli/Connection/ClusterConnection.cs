using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Cli.Connection;

/// <summary>A channel to one scheduler with the caller's token.</summary>
internal sealed class ClusterConnection : IDisposable
{
    public const string DefaultServer = "http://127.0.0.1:7070";

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(30);

    private readonly GrpcChannel channel;
    private readonly string? token;

    private ClusterConnection(string server, GrpcChannel channel, string? token)
    {
        Server = server;
        this.channel = channel;
        this.token = token;
        Jobs = new JobService.JobServiceClient(channel);
        Experiments = new ExperimentService.ExperimentServiceClient(channel);
        Models = new ModelService.ModelServiceClient(channel);
        Nodes = new NodeService.NodeServiceClient(channel);
        Runs = new RunService.RunServiceClient(channel);
        Checkpoints = new CheckpointService.CheckpointServiceClient(channel);
    }

    public string Server { get; }

    public JobService.JobServiceClient Jobs { get; }

    public ExperimentService.ExperimentServiceClient Experiments { get; }

    public ModelService.ModelServiceClient Models { get; }

    public NodeService.NodeServiceClient Nodes { get; }

    public RunService.RunServiceClient Runs { get; }

    public CheckpointService.CheckpointServiceClient Checkpoints { get; }

    /// <param name="server">http:// for HTTP/2 in plain text, https:// for TLS.</param>
    /// <param name="token">Null to call without one, which a scheduler answers with Unauthenticated.</param>
    public static ClusterConnection To(string server, string? token)
    {
        if (!Uri.TryCreate(server, UriKind.Absolute, out var address) || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
            throw new CliException(ExitCode.Usage, $"server is {server} but must be an address; write it as {DefaultServer}");
        if (token is not null && token.Any(character => char.IsControl(character) || character > 127))
            throw new CliException(ExitCode.Usage, "the token holds characters that no token has; copy it again, on one line");
        var handler = new SocketsHttpHandler { ConnectTimeout = ConnectTimeout, EnableMultipleHttp2Connections = true };
        return new(server, GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true }), token);
    }

    /// <summary>For a call that answers once.</summary>
    public CallOptions Call(CancellationToken cancellationToken) =>
        new(Headers(), DateTime.UtcNow + AnswerTimeout, cancellationToken);

    /// <summary>For a stream that goes on for as long as its job does.</summary>
    public CallOptions Stream(CancellationToken cancellationToken) => new(Headers(), cancellationToken: cancellationToken);

    public void Dispose() => channel.Dispose();

    private Metadata Headers() => token is null ? [] : new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } };
}
