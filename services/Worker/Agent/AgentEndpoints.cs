using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>Where this agent is reached: over TCP by the scheduler, over a Unix socket by its trainers.</summary>
internal sealed class AgentEndpoints(IOptions<AgentOptions> options, IServer server, AgentSocket socket)
{
    /// <summary>The Unix socket's path.</summary>
    public string Socket => socket.Path;

    /// <summary>Address of this node for the peers of its trainers.</summary>
    public string PeerHost =>
        options.Value.AdvertiseHost.Length > 0 ? options.Value.AdvertiseHost : IPEndPoint.Parse(options.Value.ListenAddress).Address.ToString();

    /// <summary>"http://host:port" of AgentService. Known once the server listens.</summary>
    public string AgentAddress()
    {
        var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        var listening = addresses.First(address => !address.Contains("unix:", StringComparison.OrdinalIgnoreCase));
        return new UriBuilder(Uri.UriSchemeHttp, PeerHost, new Uri(listening).Port).Uri.GetLeftPart(UriPartial.Authority);
    }
}

/// <summary>The Unix socket, in a folder that only this user can enter.</summary>
/// <remarks>Not in the state folder: a socket's path has at most 107 bytes.</remarks>
internal sealed class AgentSocket : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-agent-");

    public string Path => System.IO.Path.Combine(_folder.FullName, "agent.sock");

    /// <summary>The folder keeps others out already; so does the socket itself, once the server has made it.</summary>
    public void Restrict() => File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

    public void Dispose()
    {
        if (Directory.Exists(_folder.FullName))
            _folder.Delete(recursive: true);
    }
}
