using System.Net;
using System.Text;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>Where this agent is reached: over TCP by the scheduler, over a Unix socket by its trainers.</summary>
internal sealed class AgentEndpoints(IOptions<AgentOptions> options, IOptions<TlsOptions> tls, IServer server, AgentSocket socket)
{
    /// <summary>The Unix socket's path.</summary>
    public string Socket => socket.Path;

    /// <exception cref="IOException">Somebody has deleted it: trainers would start and find no agent.</exception>
    public void EnsureSocketIsThere()
    {
        if (!File.Exists(Socket))
            throw new IOException(
                $"{Socket}, by which trainers reach this agent, is gone; keep Agent:StateFolder in place and restart the agent");
    }

    /// <summary>Where this agent and its trainers listen: the machine's own, or a wildcard.</summary>
    public IPAddress ListenAddress => IPEndPoint.Parse(options.Value.ListenAddress).Address;

    /// <summary>Where others are told to find this agent and its trainers. Never bound: the machine need not have it.</summary>
    public string AdvertisedHost => options.Value.AdvertiseHost.Length > 0 ? options.Value.AdvertiseHost : ListenAddress.ToString();

    /// <summary>
    /// What trainers show those of other nodes, and recognise them by; null where <see cref="AgentOptions.TrainerTls"/> is off.
    /// </summary>
    public PeerCertificates? TrainerCertificates => !options.Value.TrainerTls ? null : new PeerCertificates
    {
        CertificateFile = Path.GetFullPath(tls.Value.CertificateFile),
        KeyFile = Path.GetFullPath(tls.Value.KeyFile),
        AuthorityFile = Path.GetFullPath(tls.Value.AuthorityFile),
    };

    /// <summary>"http://host:port" of AgentService, https:// with TLS, as the scheduler is told. Known once the server listens.</summary>
    public string AgentAddress()
    {
        var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        var listening = addresses.First(address => !address.Contains("unix:", StringComparison.OrdinalIgnoreCase));
        var port = options.Value.AdvertisePort ?? new Uri(listening).Port;
        var scheme = tls.Value.IsOn ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        return new UriBuilder(scheme, AdvertisedHost, port).Uri.GetLeftPart(UriPartial.Authority);
    }
}

/// <summary>The Unix socket, in a folder that only this user can enter.</summary>
internal sealed partial class AgentSocket : IDisposable
{
    // sockaddr_un.sun_path has 108 bytes, the last of them a NUL.
    private const int MaxPathBytes = 107;

    private readonly string _folder;
    private readonly ILogger _logger;

    /// <param name="identity">Holds the state folder, so that what lies there is this agent's or a dead one's.</param>
    /// <param name="logger">Told when the folder cannot be removed.</param>
    public AgentSocket(AgentIdentity identity, ILogger<AgentSocket> logger)
    {
        _logger = logger;
        const UnixFileMode ownersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        _folder = System.IO.Path.Combine(System.IO.Path.GetFullPath(identity.StateFolder), "run");
        if (Encoding.UTF8.GetByteCount(Path) > MaxPathBytes)
            _folder = Directory.CreateTempSubdirectory("cluster-agent-").FullName;
        Directory.CreateDirectory(_folder, ownersOnly);
        File.SetUnixFileMode(_folder, ownersOnly);
        // What an agent that was killed left; nobody listens there.
        File.Delete(Path);
    }

    public string Path => System.IO.Path.Combine(_folder, "agent.sock");

    /// <summary>The folder keeps others out already; so does the socket itself, once the server has made it.</summary>
    public void Restrict() => File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

    public void Dispose()
    {
        try
        {
            if (Directory.Exists(_folder))
                Directory.Delete(_folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The agent has done its work, and must not seem to have failed for this.
            LogFolderStays(_folder, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The folder {Folder} with the agent's socket cannot be removed ({Reason}). Nobody listens there any more; "
            + "the next start uses it again")]
    private partial void LogFolderStays(string folder, string reason);
}
