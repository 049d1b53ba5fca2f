using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>
/// What proves to the scheduler that this agent is its node. Its own token the agent makes itself and tells nobody but the scheduler, which
/// keeps the hash: so it is never on its way in an answer, and an answer that is lost loses nothing.
/// </summary>
internal sealed class NodeToken
{
    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _own;
    private readonly string _codeFile;

    public NodeToken(IOptions<AgentOptions> options, AgentIdentity identity)
    {
        (_own, _codeFile) = (FileIn(identity.StateFolder), options.Value.EnrollmentCodeFile);
        if (options.Value.NodeTokenFile.Length > 0)
            Text = TokenFile.Newest(options.Value.NodeTokenFile);
        else if (File.Exists(_own))
            Text = File.ReadAllText(_own).Trim();
        else
            (Text, IsEnrolled) = (Pending(), false);
    }

    public string Text { get; }

    /// <summary>Whether the scheduler is known to know it.</summary>
    public bool IsEnrolled { get; private set; } = true;

    public static string FileIn(string stateFolder) => Path.Combine(stateFolder, "node-token");

    public EnrollRequest Request(AgentIdentity identity) => new()
    {
        NodeId = identity.NodeId.ToString(),
        TokenSha256 = ByteString.CopyFrom(AccessSecret.Hash(Text)),
    };

    /// <summary>The one-time code that the request is sent with.</summary>
    public string ReadCode() => File.ReadAllText(_codeFile).Trim();

    public void Enrolled()
    {
        File.Move(_own + ".new", _own);
        IsEnrolled = true;
    }

    /// <summary>A token that is not enrolled yet, or of which that is not known: the next start must come with the same one.</summary>
    private string Pending()
    {
        var file = _own + ".new";
        if (File.Exists(file) && File.ReadAllText(file).Trim() is var left && AccessSecret.IsWellFormed(AccessSecret.Node, left))
            return left;
        var token = AccessSecret.Make(AccessSecret.Node);
        File.Delete(file);
        using var stream = new FileStream(file, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = OwnersOnly,
        });
        using var writer = new StreamWriter(stream);
        writer.WriteLine(token);
        return token;
    }
}
