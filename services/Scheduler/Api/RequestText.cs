namespace Cluster.Scheduler.Api;

/// <summary>Text that a caller made up and that the scheduler keeps, prints or looks up.</summary>
internal static class RequestText
{
    /// <summary>Control characters could fake lines in a log or a table, and Postgres cannot hold a NUL.</summary>
    /// <exception cref="InvalidRequestException">It is longer, or has a control character.</exception>
    public static void Check(string field, string value, int longest)
    {
        if (value.Length > longest)
            throw new InvalidRequestException($"{field} has {value.Length} characters; give {longest} at most");
        if (value.Any(char.IsControl))
            throw new InvalidRequestException(
                $"{field} has a control character (U+{(int)value.First(char.IsControl):X4}); give text on one line");
    }

    /// <param name="what">What the caller makes with it: "job".</param>
    /// <exception cref="InvalidRequestException">It is empty, or cannot be kept.</exception>
    public static void CheckRequestId(string requestId, string what)
    {
        if (string.IsNullOrWhiteSpace(requestId))
            throw new InvalidRequestException(
                $"request_id is empty; make a UUID for each {what}, and send the same one when you repeat the call");
        Check("request_id", requestId, longest: 200);
    }
}
