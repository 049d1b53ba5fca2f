using System.Security.Cryptography;
using Cluster.Contracts;

namespace Cluster.Worker.Agent;

/// <summary>Who this agent is. Holds the state folder for itself until disposed.</summary>
internal sealed class AgentIdentity : IDisposable
{
    private const int SecretBytes = 32;

    private readonly FileStream _lock;

    private AgentIdentity(FileStream held, NodeId nodeId, string stateFolder)
    {
        _lock = held;
        NodeId = nodeId;
        StateFolder = stateFolder;
    }

    /// <summary>Kept in the state folder: the node is the same after a restart.</summary>
    public NodeId NodeId { get; }

    public string StateFolder { get; }

    /// <summary>Where attempts keep chunks that their ranks share.</summary>
    public string ChunkFolder => Path.Combine(StateFolder, "chunks");

    /// <summary>Where trainers keep what data sets hold, for those that come later.</summary>
    public string DataIndexFolder => Path.GetFullPath(Path.Combine(StateFolder, "data-index"));

    /// <summary>Tells this start of the agent from the one before.</summary>
    public string Incarnation { get; } = Guid.NewGuid().ToString("D");

    /// <summary>What the scheduler must present to AgentService; made anew at each start.</summary>
    public string Secret { get; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SecretBytes));

    /// <exception cref="IOException">Another agent runs with this folder.</exception>
    /// <exception cref="InvalidDataException">The file with the id holds something else.</exception>
    public static AgentIdentity Open(string stateFolder)
    {
        const UnixFileMode privateFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(stateFolder, privateFolder);
        FileStream held;
        try
        {
            held = new FileStream(Path.Combine(stateFolder, "agent.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new IOException($"Agent:StateFolder is '{stateFolder}', which another agent uses; give each agent its own", e);
        }

        try
        {
            return new AgentIdentity(held, ReadOrMakeNodeId(Path.Combine(stateFolder, "node-id")), stateFolder);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    public void Dispose() => _lock.Dispose();

    private static NodeId ReadOrMakeNodeId(string file)
    {
        if (!File.Exists(file))
        {
            // Written aside and moved, so that a crash leaves either no id or a whole one.
            var made = NodeId.New();
            File.WriteAllText(file + ".new", made.ToString());
            File.Move(file + ".new", file);
            return made;
        }

        var text = File.ReadAllText(file).Trim();
        return NodeId.TryParse(text, out var id)
            ? id
            : throw new InvalidDataException($"{file} holds '{text}', which is no node id; delete the file to become a new node");
    }
}
