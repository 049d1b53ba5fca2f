using Cluster.Contracts.Access;

namespace Cluster.Contracts.Tests.Access;

public sealed class TokenFileTests
{
    [Theory]
    [InlineData("old\n", "old", 1)]
    [InlineData("old\n  new \n\n", "new", 2)]
    [InlineData("\n", "", 0)]
    public void Newest_IsTheLast_OfTheTokensThatCount(string text, string newest, int count)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, text);

            TokenFile.Newest(file).ShouldBe(newest);
            TokenFile.Tokens(file).Count.ShouldBe(count);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
