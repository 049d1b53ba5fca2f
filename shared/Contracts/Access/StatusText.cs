namespace Cluster.Contracts.Access;

/// <summary>
/// The words of a refusal: they travel in HTTP headers, of which clients take 8 KiB (gRPC's own) to 64 KiB (.NET's) in all, and may quote
/// what a caller sent.
/// </summary>
public static class StatusText
{
    private const int Longest = 4000;

    /// <summary>The message, or its beginning.</summary>
    public static string Of(string message)
    {
        if (message.Length <= Longest)
            return message;
        var end = char.IsHighSurrogate(message[Longest - 1]) ? Longest - 1 : Longest;
        return message[..end] + "…";
    }
}
